"""The user's own runs beside the committed ones: told apart, and hidden where they say little."""

import csv
import dataclasses
import io
import re
from pathlib import Path

import pytest

from combgrad.pictures.plots import footer
from combgrad.results import RunRecord, load_records, save_record
from combgrad.results.layout import read_layout
from combgrad.results.report import Report, to_page
from combgrad.results.selection import select
from combgrad.results.series import collect, read_sketch
from combgrad.results.table_text import to_csv, to_markdown
from combgrad.results.tables import make_tables
from combgrad.runs.configuration import CONFIG_FOLDER

COMMITTED = CONFIG_FOLDER.parent / "results" / "runs"
LATER = "2099-01-01T00:00:00+00:00"
METRIC = {"name": "test/accuracy", "label": "right", "unit": "%", "scale": 100}


def a_record(grad="identity", seed=0, profile="paper", day=1, **changes):
    config = {"grad": grad, "seed": seed, "trainer": {"max_epochs": 2}, "profile": profile}
    values = {
        "name": f"tsp5-{grad}-{profile}-seed{seed}",
        "experiment": "tsp5",
        "choices": {},
        "config": config,
        "profile": profile,
        "data_source": "regenerated",
        "data_fingerprint": "f",
        "seed": seed,
        "metrics": {"test/accuracy": 0.5 + seed / 10},
        "best_epoch": 1,
        "curves": {},
        "seconds": {},
        "versions": {},
        "commit": "",
        "hardware": {},
        "command": "",
        "started": "",
        "finished": f"2026-01-{day:02}T00:00:00+00:00",
    }
    return RunRecord(**(values | changes))


@pytest.fixture
def folders(tmp_path):
    return [tmp_path / "runs", tmp_path / "own"]


def put(folders, committed=(), own=()):
    for folder, records in zip(folders, (committed, own), strict=True):
        folder.mkdir(exist_ok=True)
        for record in records:
            save_record(record, folder)


def names(selection):
    """The names of what is shown, those of the user's own with a star."""
    return [f"{r.name}{'*' if r.key in selection.own else ''}" for r in selection.records]


def test_trials_are_hidden_wherever_they_lie_unless_asked_for(folders):
    trials = [a_record(seed=seed, profile="smoke") for seed in range(4)]
    put(folders, [a_record(), *trials[:2]], trials[2:])
    found = select(folders)
    assert names(found) == ["tsp5-identity-paper-seed0"]
    assert found.hidden == "Hidden runs: 4 of profile smoke; --all shows them."
    assert len(select(folders, everything=True).records) == 5
    assert select(folders, everything=True).hidden == ""
    # Whoever asks for a profile sees its runs.
    assert len(select(folders, profile="smoke").records) == 5
    assert len(select(folders, profile="paper").records) == 1


def test_a_single_seed_is_hidden_only_where_it_is_the_users_own(folders):
    put(folders, [a_record("identity")], [a_record("blackbox"), a_record("imle", profile="custom")])
    found = select(folders)
    assert names(found) == ["tsp5-identity-paper-seed0"]
    assert found.hidden == "Hidden runs: 2 of your own with a single seed; --all shows them."
    assert names(select(folders, everything=True)) == [
        "tsp5-blackbox-paper-seed0*",
        "tsp5-identity-paper-seed0",
        "tsp5-imle-custom-seed0*",
    ]
    assert names(select(folders, profile="paper")) == [
        "tsp5-blackbox-paper-seed0*",
        "tsp5-identity-paper-seed0",
    ]


def test_seeds_of_one_cell_may_lie_in_both_folders(folders):
    put(folders, [a_record(seed=0)], [a_record(seed=1)])
    assert names(select(folders)) == ["tsp5-identity-paper-seed0", "tsp5-identity-paper-seed1*"]
    # On other data it is no second seed of theirs, and so it does not take their place either.
    put(folders, [], [a_record(seed=2, data_fingerprint="g", day=9)])
    assert names(select(folders)) == ["tsp5-identity-paper-seed0", "tsp5-identity-paper-seed1*"]


@pytest.mark.parametrize(("day", "mark"), [(1, ""), (3, "*")])
def test_a_committed_number_made_again_counts_if_it_is_the_later_one(folders, day, mark):
    put(folders, [a_record(day=2)], [a_record(day=day)])
    found = select(folders)
    assert names(found) == [f"tsp5-identity-paper-seed0{mark}"]
    assert found.hidden == ""


def test_only_what_is_made_of_committed_records_alone_lies_beside_them(folders):
    put(folders, [a_record()], [a_record("blackbox")])
    assert select(folders).home(folders) == folders[0].parent
    assert select(folders, everything=True).home(folders) == folders[1]
    # A single folder is the user's choice, and what it holds is nobody else's.
    assert select(folders[1:]).own == frozenset()
    # Beside the committed ones it would take their place.
    assert select(folders[1:], everything=True).home(folders[1:]) == folders[1]
    apart = [folders[1] / "times"]
    put([*apart, folders[1] / "empty"], [a_record()])
    assert select(apart).home(apart) == folders[1]


def test_what_lies_apart_is_shown_where_it_is_asked_for_alone(folders):
    here, there = a_record(), a_record(day=2, seconds={"train": 3.0})
    put(folders, [here], [a_record(seed=4)])
    save_record(there, folders[0].parent / "times")
    shown = select(folders, everything=True)
    assert [record.seconds for record in shown.records] == [{}, {}]
    times = shown.apart("times")
    assert [record.seconds for record in times.records] == [{"train": 3.0}]
    assert times.own == frozenset()
    assert shown.apart("") is shown
    # Whoever names a folder is shown what is in it.
    named = select([folders[1]], everything=True)
    assert named.apart("times") is named


def test_the_report_does_not_take_records_that_lie_apart_for_its_own(folders):
    put(folders, [a_record(), a_record(seed=1)], [])
    shown = select(folders)
    document = {"metrics": [METRIC], "rows": ["{experiment}"], "columns": ["{grad}"]}
    asked = [({"experiment": "tsp5", "grad": "identity"}, {"paper": shown.records[0].signature})]
    texts = []
    for own in ({}, {"records": "times"}):
        layout = read_layout("table6", "A title", "paper", 2, document | own)
        tables = make_tables(layout, asked, shown.records, [])
        page = folders[0].parent / "report" / "index.html"
        texts.append(to_page(Report(shown.records, tables, [], [], page, "now", "x")))
    with_link, without = '<span class="ours"><a href="#group-', '<span class="ours">55.00 '
    assert [with_link in text for text in texts] == [True, False]
    assert [without in text for text in texts] == [False, True]
    # A run says in which tables it stands.
    cell = 'href="#table6-paper-regenerated-0-0"'
    assert [cell in text for text in texts] == [True, False]


def test_a_folder_that_is_not_there_holds_nothing(folders):
    put(folders[:1] + folders[:1], [a_record()])
    assert names(select(folders)) == ["tsp5-identity-paper-seed0"]


POINTS = [{"experiment": "tsp5", "grad": grad} for grad in ("identity", "blackbox")]


@pytest.fixture
def mixed(folders):
    """Three seeds of which the last is the user's own, and two committed ones."""
    put(
        folders,
        [a_record(seed=seed) for seed in (0, 1)] + [a_record("blackbox", s) for s in (0, 1)],
        [a_record(seed=2)],
    )
    return select(folders)


def a_table(selection):
    document = {"metrics": [METRIC], "rows": ["{experiment}"], "columns": ["{grad}"]}
    layout = read_layout("table6", "A table", "paper", 3, document)
    asked = [(point, {"paper": a_record(point["grad"]).signature}) for point in POINTS]
    (table,) = make_tables(layout, asked, selection.records, [], selection.own)
    return table


def test_a_table_says_how_many_seeds_are_the_users_own(mixed, folders):
    text = to_markdown(a_table(mixed))
    assert "60.00 ± 8.16 (3, 1 own)" in text
    assert "55.00 ± 5.00 (2)" in text
    assert "Own: runs of the user's" in text
    rows = csv.DictReader(io.StringIO(to_csv([a_table(mixed)])))
    assert [(row["seeds"], row["own_seeds"]) for row in rows] == [("3", "1"), ("2", "0")]
    alone = a_table(select(folders[:1]))
    assert "own" not in to_markdown(alone).casefold().replace("shown", "").replace("known", "")


def test_a_figure_says_how_many_runs_are_the_users_own(mixed, folders):
    asked = [(point, {"paper": a_record(point["grad"]).signature}) for point in POINTS]
    document = {"draw": "values", "metrics": [METRIC], "series": ["{grad}"]}
    document |= {"x": {"key": "alpha"}, "absent": {"alpha": 0}}
    sketch = read_sketch("figure4a", "A figure", "paper", 3, document, asked)
    data = collect(sketch, mixed.records, "paper", "regenerated", mixed.own)
    assert "Runs of the user's own, not among the committed ones: 1." in " ".join(footer(data, 999))
    alone = collect(sketch, select(folders[:1]).records, "paper", "regenerated")
    assert "own" not in " ".join(footer(alone, 999)).replace("shown", "")


def test_the_report_tells_the_sets_apart_and_links_to_both(mixed, folders, tmp_path):
    page = tmp_path / "own" / "report" / "index.html"
    report = Report(mixed.records, [a_table(mixed)], [], [], page, "now", "x", mixed.own, "Hidden!")
    text = to_page(report)
    assert "5, 1 of them your own" in text
    assert "3 runs, 1 of them your own." in text
    assert text.count("<dd>your own</dd>") == 1
    assert text.count("<dd>committed</dd>") == 4
    assert "Hidden!" in text
    assert "<dt>(3, 1 own)</dt>" in text
    places = re.findall(r'href="([^"#]*[.]json)"', text)
    assert sorted((page.parent / place).resolve() for place in places) == sorted(
        record.path for record in mixed.records
    )
    alone = to_page(dataclasses.replace(report, own=(), hidden=""))
    assert "<dd>committed</dd>" not in alone
    assert "of them your own" not in alone


def test_own_runs_never_change_what_is_committed(tmp_path, run_script, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs, own = Path("results/runs"), Path("results/own")
    start = "tsp5-identity-std-noise0.2-reduced-seed"
    first, second = (r for r in load_records(COMMITTED) if r.name.startswith(start))
    save_record(first, runs)
    save_record(dataclasses.replace(second, profile="smoke"), own)
    _, printed, errors = run_script("tables", "6", "--save")
    assert "note: Hidden runs: 1 of profile smoke; --all shows them." in errors
    before = {Path(line): Path(line).read_bytes() for line in printed.splitlines()}
    assert {path.parent for path in before} == {Path("results/tables")}

    save_record(second, own)
    _, printed, _ = run_script("tables", "6", "--save")
    written = list(map(Path, printed.splitlines()))
    assert {path.parent for path in written} == {own / "tables"}
    assert "(2, 1 own)" in (own / "tables" / "table6.md").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in before} == before


def test_a_table_tells_what_committed_runs_gave_that_own_ones_stand_for(
    tmp_path, run_script, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    runs, own = Path("results/runs"), Path("results/own")
    start = "tsp5-identity-std-noise0.2-reduced-seed"
    kept, again = (r for r in load_records(COMMITTED) if r.name.startswith(start))
    for record in (kept, again):
        save_record(record, runs)
    changed = dataclasses.replace(
        again, metrics=again.metrics | {"test/edge_accuracy": 0.5}, finished=LATER
    )
    save_record(changed, own)
    before = [100 * record.metrics["test/edge_accuracy"] for record in (kept, again)]
    middle, spread = sum(before) / 2, abs(before[0] - before[1]) / 2
    _, text, _ = run_script("tables", "6")
    assert f"{(before[0] + 50) / 2:.2f} ± {(before[0] - 50) / 2:.2f} (2, 1 own)" in text
    (note,) = re.findall("^- (.*your own runs stand for.*)$", text, re.MULTILINE)
    assert note.startswith("TSP(5), ")
    assert note.endswith(
        f": your own runs stand for 1 committed one; committed is {middle:.2f} ± {spread:.2f} (2)."
    )
    # An older one of one's own replaces nothing.
    save_record(dataclasses.replace(changed, finished="2001-01-01T00:00:00+00:00"), own)
    assert "stand for" not in run_script("tables", "6")[1]
