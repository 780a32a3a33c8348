"""Records, printed numbers and layouts for the tests of tables."""

from combgrad.results import RunRecord, frame
from combgrad.results.identity import signature
from combgrad.results.layout import Metric, read_layout
from combgrad.results.paper import PaperValue
from combgrad.results.tables import make_cell as cell_of_frame

ACCURACY = {"name": "test/accuracy", "label": "right answers", "unit": "%", "scale": 100}
DOCUMENT = {
    "metrics": [ACCURACY | {"digits": 2, "best": "max"}],
    "rows": ["{experiment}"],
    "columns": ["{grad}", "ξ = {margin.alpha}"],
    "labels": {"experiment": {"tsp5": "TSP_5 & more"}},
    "absent": {"margin.alpha": 0},
    "notes": ["100 % <b>|</b> $x_1^2$"],
}
POINTS = [
    {"experiment": experiment, "grad": grad, **margin}
    for margin in ({"margin": "none"}, {"margin": "noise", "margin.alpha": 0.1})
    for experiment in ("tsp5", "tsp10")
    for grad in ("identity", "blackbox")
]
METRIC = Metric("test/accuracy", "right answers", "%", 100, best="max")


def layout(**changes):
    return read_layout("table6", "A title", "paper", 3, DOCUMENT | changes)


def a_record(point, seed=0, accuracy=0.5, **changes):
    words = "-".join(str(value) for value in point.values())
    values = {
        "name": f"{words}-seed{seed}",
        "experiment": point["experiment"],
        "choices": {},
        "config": {"asked": dict(point), "seed": seed, "data": {"source": "any", "seed": 0}},
        "profile": "paper",
        "data_source": "regenerated",
        "data_fingerprint": "f",
        "seed": seed,
        "metrics": {"test/accuracy": accuracy},
        "best_epoch": 0,
        "curves": {},
        "seconds": {"train": 90.0},
        "versions": {},
        "commit": "abc",
        "hardware": {},
        "command": "",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return RunRecord(**(values | changes))


def asked_for(points=POINTS):
    return [(p, {"paper": signature(a_record(p).config)}) for p in points]


def a_value(mean, std=None, table="6", restarts=None, **point):
    text = f"{mean} ± {std}" if std is not None else f"{mean}"
    return PaperValue(
        frozenset({table}), point, "test/accuracy", mean, std, text, restarts, "somewhere"
    )


def make_cell(point, metric, records, paper):
    return cell_of_frame(point, metric, frame(records=records), paper)


def only(tables):
    assert len(tables) == 1
    return tables[0]


def cell_of(table, point):
    return next(cell for _, _, cell in table.cells() if cell.point == point)
