"""The paper's figures: the right lines, bands, marks and words, in files that are not blank."""

import dataclasses
import sys
import warnings
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from combgrad.pictures.plots import (
    COLOURS,
    draw_figure,
    footer,
    half_width,
    save_plot,
    series_label,
)
from combgrad.plans import grids
from combgrad.results import RunRecord, load_records, save_record
from combgrad.results.heads import words_of
from combgrad.results.series import FigureData, Panel, Series, collect, read_sketch
from combgrad.runs.configuration import CONFIG_FOLDER, compose_lazily, scientific
from exit_status import status_of
from loading import loaded

SCRIPT = CONFIG_FOLDER.parent / "scripts" / "figures.py"

IDENTITY = Series("Identity", (0.0, 0.25, 0.5), (99.0, 98.0, 90.0), (0.5, 1.0, 2.0), (3, 3, 2))
BLACKBOX = Series("Blackbox", (0.0, 0.5), (97.0, 60.0), (0.0, 0.0), (1, 1))
CURVE = Series("Identity", (1, 2, 3), (3.0, 2.0, 1.0), (0.1, 0.2, 0.3), (2, 2, 2), best=(2.5, 1.5))


def values(*series, **changes):
    fields = {
        "name": "figure4a",
        "title": "Accuracy against noise",
        "kind": "values",
        "profile": "paper",
        "source": "regenerated",
        "x_label": "sigma",
        "panels": (Panel("correct edges (%)", series),),
    }
    return FigureData(**(fields | changes))


def curves(*series, **changes):
    panels = (Panel("training loss", series),)
    return values(**({"kind": "curves", "x_label": "epoch", "panels": panels} | changes))


def named(axes, start):
    (line,) = [line for line in axes.lines if str(line.get_label()).startswith(start)]
    return line


def words(figure):
    return " ".join(text.get_text() for text in figure.texts)


def test_a_metric_against_a_value_has_lines_bands_and_a_marker_for_each_x():
    (axes,) = draw_figure(values(IDENTITY, BLACKBOX)).axes
    line = named(axes, "Identity")
    np.testing.assert_array_equal(line.get_xydata(), [[0, 99], [0.25, 98], [0.5, 90]])
    assert line.get_markevery() == [0, 1, 2]
    other = named(axes, "Blackbox")
    for property in ("get_color", "get_marker", "get_linestyle"):
        assert getattr(line, property)() != getattr(other, property)()
    # One seed has no deviation, so only Identity has a band.
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    for x, low, high in ((0.0, 98.5, 99.5), (0.25, 97.0, 99.0), (0.5, 88.0, 92.0)):
        assert corners[corners[:, 0] == x, 1].min() == low
        assert corners[corners[:, 0] == x, 1].max() == high
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("sigma", "correct edges (%)")
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["Identity (2 to 3 seeds)", "Blackbox (1 seed)"]


def test_several_panels_share_one_legend_below_them_that_names_each_line_once():
    panels = (Panel("correct edges (%)", (IDENTITY, BLACKBOX)), Panel("seconds", (IDENTITY,)))
    figure = draw_figure(values(panels=panels))
    assert [axes.get_legend() for axes in figure.axes] == [None, None]
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["Identity (2 to 3 seeds)", "Blackbox (1 seed)"]
    below = legend.get_window_extent()
    assert all(axes.get_tightbbox().y0 >= below.y1 for axes in figure.axes)
    footer_of_figure = figure.texts[-1].get_window_extent()
    assert below.y0 >= footer_of_figure.y1


def test_a_band_may_be_the_confidence_interval_of_the_mean():
    """Of five numbers t is 2.776, of two 12.706, as tables of Student's distribution have it."""
    seeds = np.array([1.0, 2.0, 4.0, 5.0, 8.0])
    two = np.array([3.0, 7.0])
    some = Series("x", (1.0, 2.0), (4.0, 5.0), (seeds.std(), two.std()), (5, 2))
    expected = [2.7764 * seeds.std(ddof=1) / 5**0.5, 12.7062 * two.std(ddof=1) / 2**0.5]
    np.testing.assert_allclose(half_width(some, "interval"), expected, rtol=1e-4)
    np.testing.assert_array_equal(half_width(some, "deviation"), some.std)
    alone = Series("x", (1.0,), (4.0,), (0.0,), (1,))
    assert half_width(alone, "interval").tolist() == [0.0]
    data = values(some, band="interval")
    (axes,) = draw_figure(data).axes
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[corners[:, 0] == 1, 1].max() == pytest.approx(4 + expected[0], rel=1e-4)
    assert "95 % confidence interval" in " ".join(footer(data, 200))


def test_curves_have_a_band_the_margins_end_and_the_best_epoch():
    (axes,) = draw_figure(curves(CURVE, margin_ends=(2.0,))).axes
    np.testing.assert_array_equal(named(axes, "Identity").get_xydata(), [[1, 3], [2, 2], [3, 1]])
    assert named(axes, "Identity").get_markevery() == []
    assert set(named(axes, "end of the margin").get_xdata()) == {2.5}
    (best,) = [line for line in axes.lines if len(line.get_xdata()) == 1]
    np.testing.assert_array_equal(best.get_xydata(), [[2.5, 1.5]])
    assert best.get_color() == named(axes, "Identity").get_color() == COLOURS[0]
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[corners[:, 0] == 3, 1].min() == pytest.approx(0.7)
    assert {1.0, 2.0, 3.0} <= set(axes.get_xticks()) <= set(range(-1, 6))


def test_profile_source_notes_and_what_is_missing_are_in_the_footer():
    data = values(
        IDENTITY, notes=("TSP(5) only.",), missing=("Blackbox at 0.25",), left_out=("old.json",)
    )
    text = words(draw_figure(data)).replace("\n", " ")
    for part in (
        "Accuracy against noise", "Profile paper, data regenerated", "best validation epoch",
        "Not run: Blackbox at 0.25.", "TSP(5) only.", "of other data: old.json",
    ):  # fmt: skip
        assert part in text
    assert all(len(line) <= 40 for line in footer(data, 40))


def test_a_figure_without_a_run_says_so():
    figure = draw_figure(curves(Series("Identity"), source=None))
    (axes,) = figure.axes
    assert not axes.lines
    (text,) = [text.get_text() for text in axes.texts]
    assert text.startswith("not run")
    assert "figure=4a" in text
    assert "Profile paper: no run of this figure has a record." in words(figure)
    asked = curves(Series("Identity"), source="stand-in")
    assert footer(asked, 99)[0].startswith("Profile paper, data stand-in: no run")


def test_labels_tell_what_is_not_run_and_what_is_not_finite():
    assert series_label(Series("I-MLE")) == "I-MLE (not run)"
    broken = Series("SGD", (1, 2, 3), (1.0, np.nan, np.inf), (0.0,) * 3, (1, 1, 1))
    assert series_label(broken) == "SGD (1 seed, not finite from 2 on)"
    (axes,) = draw_figure(curves(broken, Series("I-MLE"))).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()][1] == "I-MLE (not run)"


@pytest.mark.parametrize("strange", [1e308, -1e308, np.inf, np.nan, 5e-324])
@pytest.mark.parametrize("draw", [values, curves])
def test_any_number_and_any_file_name_can_be_drawn(draw, strange, tmp_path):
    best = (1.0, strange) if draw is curves else None
    series = [
        Series("a", (1.0, 2.0, 3.0), (1.0, strange, 2.0), (0.1,) * 3, (2,) * 3, best),
        Series("b", (1.0, 2.0, 3.0), (1.0, 2.0, 3.0), (0.1, abs(strange), 0.1), (2,) * 3),
    ]
    data = draw(*series, left_out=("$\\frac{$.json", "_$x^$.json"), unfit=("$_$",))
    figure = draw_figure(data)
    heights = named(figure.axes[0], "a").get_xydata()[:, 1]
    assert heights[[0, 2]].tolist() == [1.0, 2.0]
    assert heights[1] == strange if abs(strange) < 1 else np.isnan(heights[1])
    assert all(path.stat().st_size > 1000 for path in save_plot(figure, tmp_path, "strange"))


def test_a_number_too_large_to_draw_is_called_so():
    series = Series("SGD", (1, 2, 3), (1.0, 1e200, np.inf), (0.0,) * 3, (1, 1, 1))
    assert series_label(series) == "SGD (1 seed, too large to draw from 2 on)"


def test_there_is_a_panel_for_each_metric():
    panels = (Panel("norm ratio", (CURVE,)), Panel("cosine", (CURVE,)))
    axes = draw_figure(curves(panels=panels)).axes
    assert [box.get_ylabel() for box in axes] == ["norm ratio", "cosine"]
    assert [len(box.collections) for box in axes] == [1, 1]


def test_files_are_not_blank_and_the_same_each_time(tmp_path):
    paths = [
        save_plot(draw_figure(values(IDENTITY, BLACKBOX)), tmp_path / str(i), "figure4a")
        for i in range(2)
    ]
    assert [path.name for path in paths[0]] == ["figure4a.svg", "figure4a.png"]
    for first, second in zip(*paths, strict=True):
        assert first.read_bytes() == second.read_bytes()
    image = (matplotlib.image.imread(paths[0][1])[..., :3] * 255).round().astype(int)
    for colour in COLOURS[:2]:
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(image - wanted).max(axis=2) < 8).mean() > 5e-4
    assert (image == 255).all(axis=2).mean() > 0.6
    svg = paths[0][0].read_text()
    assert svg.startswith("<?xml")
    assert all(colour in svg for colour in COLOURS[:2])


@pytest.mark.parametrize("name", grids.names("figure"))
def test_every_figure_of_the_paper_can_be_drawn(name):
    (plan,) = grids.load_plans("figure", name)
    asked = [(point, {}) for point in plan.points]
    data = collect(
        read_sketch(plan.name, plan.title, plan.profile, plan.seeds, plan.layout, asked),
        [],
        plan.profile,
        None,
    )
    assert data.empty
    assert len(data.missing) == len(set(data.missing)) == len(plan.points)
    assert len(draw_figure(data).axes) == len(data.panels)
    assert plan.seeds >= 2


def test_the_papers_figures_all_have_a_plan():
    expected = {"3", "4a", "4b", "4c", "5", "6a", "6b", "7", "8b"}
    assert expected <= {name.removeprefix("figure") for name in grids.names("figure")}


@pytest.fixture
def run_script(tmp_path, monkeypatch, capsys):
    """Calls scripts/figures.py with words; its exit status and what it printed to each stream."""
    script = loaded(SCRIPT)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    # The script sets it for good.
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def call(*words):
        folders = ["--results", "runs", "--save-in", "figures"]
        monkeypatch.setattr(sys, "argv", ["figures.py", *folders, *words])
        status = status_of(script.main)
        return status, *capsys.readouterr()

    return call


def save_smoke_run(folder: Path, seed: int) -> None:
    """A record of the first cell of Figure 8b, of two epochs."""
    (plan,) = grids.load_plans("figure", "8b")
    words = [*words_of(plan.points[0]), "profile=smoke", f"seed={seed}"]
    known = {
        "name": "run", "experiment": "tsp5", "config": scientific(compose_lazily(words)),
        "profile": "smoke", "data_source": "regenerated", "seed": seed, "best_epoch": 0,
        "curves": {"train/loss": [3.0, 2.0]}, "metrics": {}, "data_fingerprint": "f",
        "choices": {}, "seconds": {"train": 1.0, "eval": 1.0, "solver": 0.1}, "versions": {},
        "commit": "", "hardware": {}, "command": "", "started": "", "finished": "",
    }  # fmt: skip
    save_record(RunRecord(**known), folder)


def test_the_script_draws_what_was_run_and_removes_what_says_otherwise(run_script, tmp_path):
    status, printed, _ = run_script("8b", "--profile", "smoke")
    empty = [Path("figures") / f"figure8b-smoke-not-run.{ending}" for ending in ("svg", "png")]
    assert (status, printed.split()) == (0, list(map(str, empty)))
    assert all(path.exists() for path in empty)
    for seed in (0, 1):
        save_smoke_run(tmp_path / "runs", seed)
    status, printed, _ = run_script("8b", "--profile", "smoke")
    drawn = [Path("figures") / f"figure8b-smoke-regenerated.{ending}" for ending in ("svg", "png")]
    assert (status, printed.split()) == (0, list(map(str, drawn)))
    assert sorted(Path("figures").iterdir()) == sorted(drawn)
    _, printed, _ = run_script("8b", "--source", "stand-in")
    assert printed.split()[0].endswith("figure8b-paper-stand-in-not-run.svg")


def test_the_script_says_what_cannot_be_drawn(run_script, tmp_path):
    status, _, errors = run_script("12")
    assert status == 2
    assert "there is no figure '12'; there are 3, " in errors
    status, _, errors = run_script("8b", "--results", "elsewhere")
    assert status == 2
    assert "there is no folder elsewhere" in errors
    save_smoke_run(tmp_path / "runs", 0)
    (record,) = load_records(tmp_path / "runs")
    save_record(dataclasses.replace(record, curves={}), tmp_path / "runs")
    status, printed, errors = run_script("8b", "4b", "--all")
    assert status == 1
    assert f"error: figure8b: {record.file_name}: no 'train/loss' in there" in errors
    # What can be drawn is.
    assert printed.splitlines()[0].endswith("figure4b-paper-not-run.svg")


def test_boxes_have_the_quartiles_of_the_seeds_side_by_side():
    seeds = ((1.0, 2.0, 3.0, 4.0, 5.0), (2.0, 2.0, 8.0))
    one = Series("SPO+", (1.0, 2.0), (3.0, 4.0), (1.0, 2.0), (5, 3), values=seeds)
    other = Series("two stages", (2.0,), (5.0,), (0.0,), (1,), values=((5.0,),))
    figure = draw_figure(values(one, other, band="box"))
    (axes,) = figure.axes
    corners = {2: [], 5: []}  # a median has two, a box is closed by its fifth
    for line in axes.lines:
        corners.setdefault(len(line.get_xdata()), []).append(line.get_xydata())
    flat = {float(ends[0, 1]) for ends in corners[2] if ends[0, 1] == ends[1, 1]}
    assert {3.0, 2.0, 5.0} <= flat
    heights = [(box[:, 1].min(), box[:, 1].max()) for box in corners[5]]
    assert heights == [(2.0, 4.0), (2.0, 5.0), (5.0, 5.0)]
    middles = [box[:2, 0].mean() for box in corners[5]]
    assert middles[0] < 1.0 < middles[1] < 2.0 < middles[2]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2"]
    assert "Boxes: median and quartiles" in words(figure)


def test_boxes_of_some_methods_are_drawn_while_others_have_no_run():
    one = Series("SPO+", (1.0,), (2.0,), (1.0,), (2,), values=((1.0, 3.0),))
    figure = draw_figure(values(Series("two stages"), one, band="box"))
    legend = [line.get_label() for line in figure.axes[0].lines]
    assert {"two stages (not run)", "SPO+ (2 seeds)"} <= {*legend}
