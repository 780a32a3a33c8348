"""The report's page, read back by a parser: links, numbers, runs, curves, what is not run."""

import base64
import dataclasses
from pathlib import Path

import pytest

from combgrad.plans import grids
from combgrad.results import report_runs, save_record
from combgrad.results.drawings import Drawing
from combgrad.results.identity import signature
from combgrad.results.report_runs import duration, group_id, headline, natural, run_id, short_commit
from combgrad.results.series import groups
from combgrad.runs.configuration import CONFIG_FOLDER
from html_tree import Tree
from report_pages import POINTS, RECORDS, a_page, a_record, a_sketch, tables


def test_ids_are_unique_and_every_link_within_the_page_leads_somewhere(tree):
    ids = [element["id"] for element in tree.all(id=True)]
    assert len(ids) == len(set(ids)) > 20
    links = [e["href"] for e in tree.all(href=True) if e["href"].startswith("#")]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert len(links) > 10


def test_every_run_behind_a_number_has_its_section_and_its_file(tree):
    behind = {name for e in tree.all(**{"data-runs": True}) for name in e["data-runs"].split()}
    # The run of no table stands on the page too.
    assert behind == {record.file_name for record in RECORDS[:4]}
    runs = {run["id"]: run for run in tree.all("details", **{"class": "run"})}
    assert set(runs) == {run_id(record) for record in RECORDS}
    for record in RECORDS:
        run = runs[f"run-{record.name}-{record.key[:8]}"]
        assert run.one("a", href=f"../runs/{record.file_name}").text == record.file_name


def test_the_link_of_a_cell_leads_to_exactly_its_runs(tree):
    cells = [cell for cell in tree.all("td", **{"data-runs": True}) if cell["data-runs"]]
    assert sorted(len(cell["data-runs"].split()) for cell in cells) == [1, 1, 2]
    for cell in cells:
        target = cell.one("a")["href"].removeprefix("#")
        shown = tree.one("section", id=target).all("details")
        assert [f"{run['id'].removeprefix('run-')}.json" for run in shown] == (
            cell["data-runs"].split()
        )
        back = tree.one("section", id=target).all("a", href=f"#{cell['id']}")
        assert back


def test_runs_of_one_cell_stand_together_and_no_others(tree):
    groups = {
        tuple(run["id"] for run in group.all("details"))
        for group in tree.all("section", **{"class": "card group"})
    }
    a, b, c, d, e = (run_id(record) for record in RECORDS)
    assert groups == {(a, b), (c,), (d,), (e,)}
    assert "In no table or figure." in tree.one("section", id=group_id(RECORDS[4])).text


def test_the_filter_offers_what_there_is(tree):
    offered = {
        select["name"]: [option["value"] for option in select.all("option")]
        for select in tree.all("select")
    }
    assert offered == {
        "experiment": ["", "tsp5", "tsp10", "tsp20"],
        "profile": ["", "paper", "smoke"],
        "source": ["", "original", "regenerated"],
    }
    for name in ("experiment", "profile", "source"):
        attribute = f"data-{'experiments' if name == 'experiment' else name}"
        values = {w for e in tree.all(**{attribute: True}) for w in e[attribute].split()}
        assert set(offered[name]) - {""} <= values


def test_the_overview_counts_cells(tree):
    rows = [
        [cell.text for cell in row.all("td")]
        for row in tree.one("table", **{"class": "overview"}).one("tbody").all("tr")
    ]
    # 50.5 is inside 50 ± 2, and 90 and 70 are not.
    assert rows == [
        ["Table 6: Title of table6", "paper", "regenerated", "2 of 4", "1", "1"],
        ["Figure 4a: Title of figure4a", "paper", "regenerated", "2 of 2", "", ""],
        # What is of profile smoke comes last.
        ["Table 6: Title of table6", "smoke", "regenerated", "1 of 4", "0", "1"],
    ]


def test_the_page_says_what_it_was_made_of(tree):
    made = tree.one("dl", **{"class": "made"})
    facts = {d.one("dt").text: d.one("dd").text for d in made.all("div")}
    assert facts == {
        "Runs": "5",
        "Experiments": "tsp5, tsp10, tsp20",
        "Page made": "2026-01-02 03:04 UTC",
        "By commit": "fedcba987654",
    }


def test_a_run_tells_everything(tree):
    run = tree.one("details", id=run_id(RECORDS[1]))
    facts = {d.one("dt").text: d.one("dd").text for d in run.one("dl").all("div")}
    expected = {
        "Seed": "1",
        "Profile": "paper",
        "Data": "regenerated, fingerprint f",
        "Seconds": "train 90",
        "Finished": "2026-01-01T01:00:00+00:00",
        "Commit": "0123456789ab with changes",
        "Counts in": "Table 6 (tsp5, identity); Figure 4a",
    }
    assert {name: facts[name] for name in expected} == expected
    # What it was made with stands once for all runs that share it.
    setup = run.one("a", href="#setup-1")
    assert (setup.text, facts["Made with"]) == ("setup 1", "setup 1, load 2.5")
    assert tree.one("div", id="setup-1").one("dd").text == "cores 2; torch 2.13"
    assert not tree.all("div", id="setup-2")
    assert [c.text for c in run.one("tbody").one("tr").all("td")] == ["0.51", "0.25"]
    assert run.one("code").text == "python train.py experiment=tsp5 seed=1"
    assert run.one("button").text == "Copy"
    assert (
        "val/accuracy: 0.2 after the first of 3 epochs, 0.3 after the last; dashed: the best "
        in (run.text)
    )


def test_a_curve_of_some_epochs_is_drawn_at_those():
    curve = {"val/accuracy": [0.25, 0.5, 0.75]}
    dense = dataclasses.replace(RECORDS[0], best_epoch=2, curves=curve)
    sparse = dataclasses.replace(dense, best_epoch=4, curve_epochs={"val/accuracy": [0, 4, 5]})
    axis = (0.25, 0.75)
    drawn = [report_runs._picture(run, axis) for run in (dense, sparse)]
    places = [[float(point.split(",")[0]) for point in one["lines"][0].split()] for one in drawn]
    width = drawn[0]["width"]
    assert places[0] == pytest.approx([0, width / 2, width], abs=0.06)
    assert places[1] == pytest.approx([0, 0.8 * width, width], abs=0.06)
    assert float(drawn[1]["best"]) == pytest.approx(0.8 * width, abs=0.06)
    words = report_runs._curve_words(sparse, axis)
    assert "the first of 3 epochs, as often as it was measured, 0.75 after the last" in words
    assert "dashed: the best epoch, 5, with 0.5" in words


def test_what_was_not_run_is_one_short_list():
    empty = tables([], POINTS[:3], "table7")
    root = Tree(a_page(RECORDS, waiting=[a_sketch(name="figure8b")], more=empty)).root
    assert root.all("section", **{"data-table": "7"}) == []
    items = [item.text for item in root.one("section", id="not-run").all("li")]
    assert items == [
        "Table 7: Title of table7 (3 cells: python train.py -m table=7)",
        "Figure 8b: Title of figure8b (2 cells: python train.py -m figure=8b)",
    ]


def test_a_page_without_any_run_says_so():
    root = Tree(a_page([])).root
    assert not root.all("ul", id="findings")
    commands = [code.text for code in root.one("p", id="start").all("code")]
    assert commands == [
        "python train.py -m experiment=tsp5 profile=reduced seeds=2",
        "python scripts/report.py",
    ]
    assert "No table or figure has a run yet." in root.one("section", id="overview").text
    assert root.one("section", id="runs").text.split() == ["Runs", "None", "yet."]
    assert [option["value"] for option in root.all("option")] == ["", "", ""]


def test_a_figure_is_embedded_and_names_its_runs(tree):
    article = tree.one("article", id="figure4a-paper-regenerated")
    kind, _, data = article.one("img")["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode("utf-8") == "<svg>§ & more</svg>"
    lines = [item.text for item in article.one("details").all("li")]
    assert lines == [
        "experiment=tsp5 grad=identity: seeds 0, 1",
        "experiment=tsp5 grad=blackbox: seed 0",
    ]
    assert [e["data-runs"].split() for e in article.all("a")] == [
        [RECORDS[0].file_name, RECORDS[1].file_name],
        [RECORDS[2].file_name],
    ]


def test_tables_and_figures_of_the_companion_paper_stand_in_a_section_of_their_own():
    sketch = a_sketch(name="figure_values1")
    drawing = Drawing(sketch, "paper", "regenerated", svg="<svg/>")
    more = tables(RECORDS, name="table_values1")
    root = Tree(a_page(RECORDS, [drawing], [a_sketch(name="figure_values2")], more)).root
    section = root.one("section", id="paper-values")
    assert section.one("h2").text == "The companion paper"
    assert "Generalized Gradients of Linear Programs" in section.one("cite").text
    headings = [h.text.partition(":")[0] for h in section.all("h3")]
    table, figure = "The companion paper, Table 1", "The companion paper, Figure 1"
    # The page begins with its figure, to which the section leads.
    assert headings == [table] * 2
    first = root.one("section", id="pictures").one("article", id=drawing.id)
    assert first.one("h3").text.startswith(figure)
    assert section.one("a", href=f"#{drawing.id}").text == first.one("h3").text
    for place in ("tables", "figures"):
        assert "companion" not in root.one("section", id=place).text
    (item,) = root.one("section", id="not-run").all("code")
    assert item.text.endswith("-m figure=values2")
    ids = [element["id"] for element in root.all(id=True)]
    assert len(ids) == len(set(ids))
    assert not Tree(a_page(RECORDS)).root.all("section", id="paper-values")


def test_a_figure_that_cannot_be_drawn_says_why():
    drawing = Drawing(a_sketch(), "paper", "regenerated", problem="no curve < here")
    article = Tree(a_page(RECORDS, [drawing])).root.one("article", id=drawing.id)
    assert article.one("p", **{"class": "problem"}).text == "Not drawn: no curve < here"
    assert article.all("img") == []


def test_a_run_that_does_not_count_says_so():
    changes = {"finished": "2026-02-01T00:00:00+00:00", "data_fingerprint": "other"}
    late = a_record(POINTS[0], 0, 0.4, **changes)
    root = Tree(a_page([RECORDS[0], late])).root
    facts = {
        record.file_name: {
            d.one("dt").text: d.one("dd").text
            for d in root.one("details", id=run_id(record)).one("dl").all("div")
        }
        for record in (RECORDS[0], late)
    }
    assert facts[late.file_name]["Counts in"] == "Table 6 (tsp5, identity)"
    assert facts[RECORDS[0].file_name]["Counts in"] == "nothing"
    assert facts[RECORDS[0].file_name]["Left out of"] == "Table 6 (tsp5, identity)"


def test_curves_of_a_group_share_one_axis():
    records = [
        a_record(POINTS[0], 0, curves={"val/accuracy": [0.0, 0.5, 1.0]}),
        a_record(POINTS[0], 1, curves={"val/accuracy": [0.25, 0.75, 0.5]}, best_epoch=2),
    ]
    root = Tree(a_page(records)).root
    runs = [root.one("details", id=run_id(record)) for record in records]
    assert [run.one("polyline")["points"] for run in runs] == [
        "0.0,100.0 150.0,50.0 300.0,0.0",
        "0.0,75.0 150.0,25.0 300.0,50.0",
    ]
    assert [run.one("line")["x1"] for run in runs] == ["150.0", "300.0"]
    # Each is there once, and large where the run is open.
    assert [len(run.all("svg")) for run in runs] == [1, 1]


def test_a_curve_breaks_where_it_is_not_finite():
    nan, inf = float("nan"), float("inf")
    record = a_record(POINTS[0], curves={"val/accuracy": [1.0, nan, 0.0, 0.5, inf]})
    run = Tree(a_page([record])).root.one("details", id=run_id(record))
    assert [line["points"] for line in run.all("polyline")] == [
        "0.0,0.0",
        "150.0,100.0 225.0,50.0",
    ]
    assert "not finite after 2 epochs, first after epoch 2. " in run.text


def test_a_record_without_the_monitored_curve_says_so():
    record = a_record(POINTS[0], curves={}, metrics={}, seconds={})
    run = Tree(a_page([record])).root.one("details", id=run_id(record))
    assert "The record has no curve of val/accuracy." in run.text
    assert "no test/accuracy" in run.one("summary").text
    assert run.all("svg") == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (119.94, "119.9 s"), (120, "2.0 min"), (7199, "120.0 min"), (9000, "2.5 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_small_words():
    names = ["tsp20", "cub2010", "tsp5", "dvae", "bags_b12", "tsp10", "bags_b4"]
    ordered = ["bags_b4", "bags_b12", "cub2010", "dvae", "tsp5", "tsp10", "tsp20"]
    assert sorted(names, key=natural) == ordered
    assert short_commit("0123456789abcdef") == "0123456789ab"
    assert short_commit("unknown") == "unknown"
    assert headline(a_record(POINTS[0], accuracy=1 / 3)) == "test/accuracy 0.333333"


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("python train.py experiment=tsp5 grad.lam=5 seed=3", "experiment=tsp5 grad.lam=5"),
        ("combgrad grad=blackbox '~tuned' +optimizer=sgd", "grad=blackbox '~tuned' +optimizer=sgd"),
        ("python train.py 'model.words=a b' 'x=[1,2]'", "'model.words=a b' 'x=[1,2]'"),
        ("python train.py x='", "'x='\"'\"''"),
        ("", ""),
    ],
)
def test_what_runs_were_asked_for_are_all_words_but_the_seed(command, asked):
    assert report_runs.asked_of(command) == asked


def test_sixty_runs_of_a_hundred_epochs_stay_small():
    curves = {"val/accuracy": [epoch / 100 for epoch in range(100)]}
    metrics = {f"{when}/metric{n}": 0.123456 for when in ("test", "last") for n in range(6)}
    records = [
        a_record(POINTS[seed % 4], seed, curves=curves, metrics={"test/accuracy": 0.5, **metrics})
        for seed in range(60)
    ]
    assert len(a_page(records).encode()) < 600_000


def test_a_thousand_runs_are_looked_at_once_each(monkeypatch):
    """Digests take most of the time, so none is made once for each table, figure or cell."""
    calls = []

    def counted(config):
        calls.append(config)
        return signature(config)

    monkeypatch.setattr("combgrad.results.record.signature", counted)
    records = [a_record(POINTS[seed % 4], seed) for seed in range(1000)]
    sketch = a_sketch()
    drawings = [Drawing(sketch, *pair, svg="<svg/>") for pair in groups(sketch, records)]
    page = a_page(records, drawings * 3, more=tables(records, name="table7"))
    assert page.count('class="run"') == 1000
    assert len(calls) == 1000


def test_the_script_makes_the_page_beside_the_records(tmp_path, monkeypatch, run_script):
    for record in RECORDS:
        save_record(record, tmp_path / "my runs")
    known = {"table": ["table6"], "figure": ["figure4a"]}
    monkeypatch.setattr(grids, "names", lambda kind, folder=CONFIG_FOLDER: known[kind])
    output = tmp_path / "a" / "b" / "index.html"
    words = ("--all", "--results", tmp_path / "my runs", "--output", output)
    status, printed, _ = run_script("report", *words)
    assert (status, printed.strip()) == (0, str(output))
    root = Tree(output.read_text(encoding="utf-8")).root
    links = [e["href"] for e in root.all("a") if e["href"].endswith(".json")]
    # Of the papers' tables this one alone is known here; accuracies of smoke runs are none of it.
    assert "Of the 12 cells in the tables of the paper 0 (0 %)" in root.one("p", id="shares").text
    found = [Path(output.parent, link.replace("%20", " ")).resolve() for link in links]
    assert sorted(found) == sorted((tmp_path / "my runs").glob("*.json"))
    assert len(found) == len(RECORDS)
    assert list(output.parent.iterdir()) == [output]


def test_the_script_refuses_a_folder_that_is_not_there(tmp_path, run_script):
    status, _, errors = run_script("report", "--results", tmp_path / "none")
    assert status == 2
    assert "there is no folder" in errors
