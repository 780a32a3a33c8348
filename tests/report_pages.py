"""Records, tables, figures and pages of reports for the tests of them."""

import dataclasses
from pathlib import Path

from combgrad.results import RunRecord
from combgrad.results.identity import signature
from combgrad.results.layout import read_layout
from combgrad.results.paper import PaperValue
from combgrad.results.report import Report, to_page
from combgrad.results.series import read_sketch
from combgrad.results.tables import make_tables

ACCURACY = {
    "name": "test/accuracy",
    "label": "right answers",
    "unit": "%",
    "scale": 100,
    "best": "max",
}
POINTS = [
    {"experiment": experiment, "grad": grad}
    for experiment in ("tsp5", "tsp10")
    for grad in ("identity", "blackbox")
]


def a_record(point, seed=0, accuracy=0.5, **changes):
    words = "-".join(str(value) for value in point.values())
    profile = changes.get("profile", "paper")
    values = {
        "name": f"{words}-{profile}-seed{seed}",
        "experiment": point["experiment"],
        "choices": {},
        "config": {
            "asked": dict(point),
            "seed": seed,
            "monitor": {"metric": "val/accuracy"},
            "trainer": {"max_epochs": 3},
        },
        "profile": profile,
        "data_source": "regenerated",
        "data_fingerprint": "f",
        "seed": seed,
        "metrics": {"test/accuracy": accuracy, "last/accuracy": 0.25},
        "best_epoch": 1,
        "curves": {"val/accuracy": [0.2, 0.4, 0.3]},
        "seconds": {"train": 90.0},
        "versions": {"torch": "2.13"},
        "commit": "0123456789abcdef+changes",
        "hardware": {"cores": 2, "load": 1.5 + seed},
        "command": f"python train.py experiment={point['experiment']} seed={seed}",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T01:00:00+00:00",
    }
    record = RunRecord(**(values | changes))
    return dataclasses.replace(record, path=Path("results/runs", record.file_name))


def asked_for(points):
    return [
        (p, {name: signature(a_record(p).config) for name in ("paper", "smoke")}) for p in points
    ]


def tables(records, points=POINTS, name="table6"):
    document = {"metrics": [ACCURACY], "rows": ["{experiment}"], "columns": ["{grad}"]}
    printed = [
        PaperValue(frozenset({"6"}), p, "test/accuracy", 50.0, 1.0, "50.0 ± 1.0", 3, "somewhere")
        for p in POINTS
    ]
    layout = read_layout(name, f"Title of {name}", "paper", 3, document)
    return make_tables(layout, asked_for(points), records, printed)


def a_sketch(points=POINTS[:2], name="figure4a"):
    document = {"draw": "curves", "metrics": [ACCURACY], "series": ["{grad}"]}
    return read_sketch(name, f"Title of {name}", "paper", 2, document, asked_for(points))


def a_page(records, drawings=(), waiting=(), more=()):
    report = Report(
        records=records,
        tables=[*tables(records), *more],
        drawings=drawings,
        waiting=waiting,
        page=Path("results/report/index.html"),
        made="2026-01-02 03:04 UTC",
        commit="fedcba9876543210",
    )
    return to_page(report)


RECORDS = [
    a_record(POINTS[0], 0, 0.50),
    a_record(POINTS[0], 1, 0.51),
    a_record(POINTS[1], 0, 0.90),
    a_record(POINTS[2], 0, 0.70, profile="smoke"),
    a_record({"experiment": "tsp20", "grad": "other"}, 0, data_source="original"),
]
