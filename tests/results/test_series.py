"""The numbers of a figure: the right records, averaged as a plain loop would."""

import dataclasses
import math
from pathlib import Path

import pytest

from combgrad.errors import CombgradError
from combgrad.margins import NoiseMargin
from combgrad.pictures.plots import footer
from combgrad.results import RunRecord
from combgrad.results.identity import signature
from combgrad.results.series import collect, groups, margin_end, read_sketch

EPOCHS = 4


def config(sigma=0.0, grad="Identity", seed=0, until=0.5):
    return {
        "seed": seed,
        "data": {"source": "regenerated", "order_seed": seed, "split_seed": seed, "cities": 5},
        "grad": {"_target_": grad},
        "corruption": {"gradient_sigma": sigma},
        "margin": {"alpha": 0.2, "until": until},
        "trainer": {"max_epochs": EPOCHS},
    }


def a_record(seed=0, accuracy=0.9, loss=(4.0, 3.0, 2.0, 1.0), best_epoch=0, **changes):
    cell = {key: changes.pop(key) for key in ("sigma", "grad", "until") if key in changes}
    values = {
        "name": f"run-{seed}",
        "experiment": "tsp5",
        "choices": {},
        "config": config(seed=seed, **cell),
        "profile": "paper",
        "data_source": "regenerated",
        "data_fingerprint": "f",
        "seed": seed,
        "metrics": {"test/edge_accuracy": accuracy},
        "best_epoch": best_epoch,
        "curves": {"train/loss": list(loss)},
        "seconds": {},
        "versions": {},
        "commit": "",
        "hardware": {},
        "command": "",
        "started": "",
        "finished": "",
    }
    return RunRecord(**(values | changes))


def a_cell(sigma=0.0, grad="Identity"):
    point = {"grad": grad.lower(), "corruption.gradient_sigma": sigma}
    return point, {"paper": signature(config(sigma, grad))}


def a_sketch(draw, cells, **changes):
    metric = {"name": "test/edge_accuracy", "label": "correct", "unit": "%", "scale": 100}
    document = {
        "draw": draw,
        "metrics": [metric if draw == "values" else {"name": "train/loss", "label": "loss"}],
        "series": ["{grad}"],
        "labels": {"grad": {"identity": "Identity"}},
        "notes": ["a note"],
    }
    if draw == "values":
        document["x"] = {"key": "corruption.gradient_sigma", "label": "sigma"}
    return read_sketch("figure0", "A figure", "paper", 2, document | changes, cells)


def one_series(data):
    (panel,) = data.panels
    (series,) = panel.series
    return series


def plain(values):
    """Mean and population standard deviation, by loops."""
    total = 0.0
    for value in values:
        total += value
    mean = total / len(values)
    squares = 0.0
    for value in values:
        squares += (value - mean) ** 2
    return mean, math.sqrt(squares / len(values))


def test_values_are_means_over_the_seeds_of_each_cell():
    measured = {0.5: [0.71, 0.83], 0.0: [0.95, 0.99, 0.97], 0.25: [0.9]}
    records = [
        a_record(seed, accuracy, sigma=sigma)
        for sigma, accuracies in measured.items()
        for seed, accuracy in enumerate(accuracies)
    ]
    data = collect(
        a_sketch("values", [a_cell(s) for s in measured]), records, "paper", "regenerated"
    )
    series = one_series(data)
    assert series.label == "Identity"
    assert series.x == (0.0, 0.25, 0.5)
    assert series.seeds == (3, 1, 2)
    for x, mean, std in zip(series.x, series.mean, series.std, strict=True):
        assert (mean, std) == pytest.approx(plain([100 * a for a in measured[x]]))
    assert (data.panels[0].label, data.x_label) == ("correct in %", "sigma")
    assert (data.missing, data.notes) == ((), ("a note",))


def test_curves_are_means_at_each_epoch_with_the_best_epoch_on_the_line():
    losses = [[4.0, 3.0, 2.0, 1.0], [8.0, 1.0, 1.0, 0.5]]
    records = [a_record(s, loss=c, best_epoch=s + 1) for s, c in enumerate(losses)]
    data = collect(a_sketch("curves", [a_cell()]), records, "paper", "regenerated")
    series = one_series(data)
    assert series.x == (1, 2, 3, 4)
    for epoch in range(EPOCHS):
        expected = plain([curve[epoch] for curve in losses])
        assert (series.mean[epoch], series.std[epoch]) == pytest.approx(expected)
    assert series.seeds == (2, 2, 2, 2)
    # Best at the second and at the third epoch: halfway between the means 2.0 and 1.5 there.
    assert series.best == pytest.approx((2.5, 1.75))
    assert data.margin_ends == (2.0,)


def test_the_best_epoch_may_be_the_last():
    records = [a_record(best_epoch=EPOCHS - 1)]
    series = one_series(collect(a_sketch("curves", [a_cell()]), records, "paper", "regenerated"))
    assert series.best == (4.0, 1.0)
    assert series.std == (0.0,) * EPOCHS


def test_a_curve_of_every_other_epoch_stands_at_its_epochs():
    sparse = {"curve_epochs": {"train/loss": [0, 2, 3]}}
    losses = [[8.0, 4.0, 2.0], [4.0, 2.0, 1.0]]
    records = [a_record(s, loss=c, best_epoch=2 * s, **sparse) for s, c in enumerate(losses)]
    records.append(a_record(2, path=Path("dense.json")))
    data = collect(a_sketch("curves", [a_cell()]), records, "paper", "regenerated")
    series = one_series(data)
    assert (series.x, series.mean, series.seeds) == ((1, 3, 4), (6.0, 3.0, 1.5), (2, 2, 2))
    # Best at the first and the third epoch: in the middle of the line from 6.0 to 3.0.
    assert series.best == pytest.approx((2.0, 4.5))


def test_profiles_and_sources_are_never_mixed():
    stand_in = a_record(0, accuracy=0.1, data_source="stand-in")
    records = [a_record(0, accuracy=0.8), a_record(1, accuracy=0.9), stand_in]
    custom = dataclasses.replace(records[0], profile="custom")
    sketch = a_sketch("values", [a_cell()])
    assert groups(sketch, [*records, custom]) == [("paper", "regenerated"), ("paper", "stand-in")]
    own = one_series(collect(sketch, [*records, custom], "paper", "regenerated"))
    assert (own.mean, own.seeds) == (pytest.approx((85.0,)), (2,))
    other = one_series(collect(sketch, records, "paper", "stand-in"))
    assert (other.mean, other.seeds) == (pytest.approx((10.0,)), (1,))


def test_other_settings_do_not_belong_to_a_cell():
    records = [a_record(0, sigma=0.5), a_record(1, grad="Blackbox"), a_record(2, until=1.0)]
    assert groups(a_sketch("values", [a_cell()]), records) == []


def test_what_was_not_run_is_named():
    cells = [a_cell(0.0), a_cell(0.5), ({"grad": "imle", "corruption.gradient_sigma": 0.0}, {})]
    data = collect(a_sketch("values", cells), [a_record()], "paper", "regenerated")
    assert data.missing == ("Identity at 0.5", "imle at 0")
    assert [series.x for series in data.panels[0].series] == [(0.0,), ()]
    nothing = collect(a_sketch("curves", [a_cell()]), [], "paper", None)
    assert nothing.missing == ("Identity",)
    assert one_series(nothing).best is None


@pytest.mark.parametrize("draw", ["values", "curves"])
def test_a_seed_counts_once_and_other_data_do_not_count(draw):
    late = {"finished": "2026-02-02", "path": Path("later.json")}
    records = [
        a_record(0, 0.1, loss=[9.0] * EPOCHS, path=Path("early.json")),
        a_record(0, 0.8, loss=[1.0] * EPOCHS, **late),
        a_record(1, 0.9, loss=[2.0] * EPOCHS),
        a_record(2, 0.3, loss=[9.0] * EPOCHS, data_fingerprint="g", path=Path("other.json")),
    ]
    data = collect(a_sketch(draw, [a_cell()]), records, "paper", "regenerated")
    assert data.left_out == ("early.json", "other.json")
    expected = plain([80, 90] if draw == "values" else [1, 2])
    assert (one_series(data).mean[0], one_series(data).std[0]) == pytest.approx(expected)
    assert one_series(data).seeds[0] == 2


@pytest.mark.parametrize(
    ("draw", "cells", "change", "message"),
    [
        ("curves", [a_cell(), a_cell(0.5)], {}, "two cells are called 'Identity'"),
        ("values", [a_cell()], {"metrics": [{"name": "a/b", "label": ""}]}, "no 'a/b' in there"),
        ("curves", [a_cell()], {"metrics": [{"name": "a/b", "label": ""}]}, "run-0-.*no 'a/b'"),
        ("values", [a_cell()], {"series": ["{proj}"]}, "has no proj"),
        ("values", [a_cell(), a_cell()], {}, "two cells are 'Identity' at 0"),
        ("values", [a_cell("high")], {}, "corruption.gradient_sigma is 'high'"),
        ("bars", [a_cell()], {}, "draw is 'bars'"),
        ("values", [a_cell()], {"x": None}, "where draw is values"),
        ("curves", [a_cell()], {"x": {"key": "grad"}}, "where draw is values"),
        ("curves", [a_cell()], {"colour": "red"}, "unknown \\['colour'\\]"),
        ("curves", [a_cell()], {"records": "times"}, "records is for tables"),
    ],
)
def test_plans_that_do_not_fit_are_refused(draw, cells, change, message):
    with pytest.raises(CombgradError, match=message):
        collect(a_sketch(draw, cells, **change), [a_record()], "paper", "regenerated")


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": (1.0, 2.0)},
        {"loss": ()},
        {"loss": (9.0,) * (EPOCHS + 1)},
        {"curves": {}},
        {"best_epoch": EPOCHS},
        {"best_epoch": 10**400},
    ],
)
def test_a_curve_that_does_not_fit_the_others_is_left_out_and_named(changes):
    records = [a_record(0), a_record(1), a_record(2, name="strange", **changes)]
    data = collect(a_sketch("curves", [a_cell()]), records, "paper", "regenerated")
    assert one_series(data).mean == (4.0, 3.0, 2.0, 1.0)
    assert one_series(data).seeds == (2,) * EPOCHS
    assert data.unfit == (records[2].file_name,)
    assert f"without the numbers that others have: {data.unfit[0]}" in " ".join(footer(data, 9999))


def test_a_cell_whose_only_record_lacks_the_curve_does_not_hide_the_other_cells():
    strange = a_record(0, grad="Blackbox", name="strange", curves={})
    cells = [a_cell(), a_cell(grad="Blackbox")]
    data = collect(a_sketch("curves", cells), [a_record(0), strange], "paper", "regenerated")
    assert [len(series.x) for series in data.panels[0].series] == [EPOCHS, 0]
    assert data.unfit == (strange.file_name,)


def test_a_record_without_the_metric_does_not_hide_the_others():
    records = [a_record(0, 0.8), a_record(1, 0.9), a_record(2, name="strange", metrics={})]
    data = collect(a_sketch("values", [a_cell()]), records, "paper", "regenerated")
    assert one_series(data).mean == pytest.approx((85.0,))
    assert (one_series(data).seeds, data.unfit) == ((2,), (records[2].file_name,))


def test_a_diverged_run_leaves_numbers_that_are_not_finite():
    records = [a_record(0), a_record(1, loss=(4.0, math.inf, math.nan, 1.0))]
    series = one_series(collect(a_sketch("curves", [a_cell()]), records, "paper", "regenerated"))
    assert [math.isfinite(value) for value in series.mean] == [True, False, False, True]


def test_absent_values_and_templates_of_several_words():
    changes = {"series": ["{grad},", "alpha = {margin.alpha}"], "absent": {"margin.alpha": 0}}
    data = collect(a_sketch("values", [a_cell()], **changes), [a_record()], "paper", "regenerated")
    assert one_series(data).label == "Identity, alpha = 0"


@pytest.mark.parametrize(
    ("margin", "epochs", "end"),
    [
        ({"alpha": 0.2, "until": 0.5}, 100, 50),
        ({"alpha": 0.2, "until": 0.5}, 25, 13),
        ({"alpha": 0.2, "until": 0.28}, 25, 7),
        ({"alpha": 0.2, "until": 7}, 25, 7),
        ({"alpha": 0.2, "until": 2.0}, 25, 2),
        ({"alpha": 0.2, "until": 1}, 25, None),
        ({"alpha": 0.2, "until": None}, 25, None),
        ({"alpha": 0.2, "until": 1.0}, 25, None),
        ({"alpha": 0.2, "until": 0}, 25, None),
        ({"alpha": 0, "until": 0.5}, 25, None),
        ({}, 25, None),
        (None, 25, None),
    ],
)
def test_the_end_of_the_margin_is_where_the_layer_ends_it(margin, epochs, end):
    assert margin_end({"margin": margin, "trainer": {"max_epochs": epochs}}) == end
    if margin:
        real = NoiseMargin(margin["alpha"], until=margin["until"])
        active = []
        for epoch in range(epochs):
            real.set_epoch(epoch, epochs)
            active.append(real.active)
        assert sum(active) == (end if end is not None else epochs * active[0])


def test_words_may_stand_at_the_numbers_that_their_labels_say():
    cells = [({"grad": word}, {}) for word in ("identity", "blackbox")]
    drawn = a_sketch("values", cells, x={"key": "grad"}, labels={"grad": {"identity": "4"}})
    assert drawn.x(cells[0][0]) == 4.0
    with pytest.raises(CombgradError, match=r"grad is 'blackbox'.* its x must be a number"):
        drawn.x(cells[1][0])


def test_the_band_is_said_by_the_plan():
    assert collect(a_sketch("values", [a_cell()]), [a_record()], "paper", "regenerated").band == (
        "deviation"
    )
    wide = a_sketch("values", [a_cell()], band="interval")
    assert collect(wide, [a_record()], "paper", "regenerated").band == "interval"
    with pytest.raises(CombgradError, match="band is 'sem'; choose one of deviation, interval"):
        a_sketch("values", [a_cell()], band="sem")
