"""Records are data from elsewhere: no file in their folder stops the tables, figures or report."""

import csv
import dataclasses
import io
import json
import os
import shutil
import warnings

import pytest

from combgrad.pictures.plots import draw_figure
from combgrad.results import RunRecord, load_record, load_records, save_record
from combgrad.results.layout import read_layout
from combgrad.results.report import Drawing, Report, to_page
from combgrad.results.series import collect, groups, read_sketch
from combgrad.results.table_markup import to_html, to_latex
from combgrad.results.table_text import to_csv, to_markdown
from combgrad.results.tables import make_tables
from combgrad.runs.configuration import CONFIG_FOLDER

POINT = {"experiment": "tsp5", "grad": "identity"}
CONFIG = {
    "experiment": "tsp5",
    "grad": {"_target_": "combgrad.gradients.Identity"},
    "monitor": {"metric": "val/accuracy"},
    "trainer": {"max_epochs": 3},
    "margin": {"alpha": 0.1, "until": 0.5},
}
RUNS = CONFIG_FOLDER.parent / "results" / "runs"
METRIC = {"name": "test/accuracy", "label": "right", "unit": "%", "scale": 100, "best": "max"}
SCRIPT = "<script>alert(1)</script>"
DEEP = json.loads("[" * 200 + "]" * 200)


def a_record(seed):
    return RunRecord(
        name=f"tsp5-identity-seed{seed}",
        experiment="tsp5",
        choices={"grad": "identity"},
        config={**CONFIG, "seed": seed},
        profile="paper",
        data_source="regenerated",
        data_fingerprint="f",
        seed=seed,
        metrics={"test/accuracy": 0.5 + seed / 10},
        best_epoch=1,
        curves={"val/accuracy": [0.1, 0.2, 0.3]},
        seconds={"train": 60.0},
        versions={"torch": "2"},
        commit="abc",
        hardware={"cores": 2},
        command="python train.py experiment=tsp5",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:00:00+00:00",
    )


GOOD = [a_record(0), a_record(1)]
ASKED = [(POINT, {"paper": GOOD[0].signature})]
FIELDS = json.loads(a_record(7).to_json())


def edited(**changes):
    return json.dumps(FIELDS | changes)


def without(name):
    return json.dumps({key: value for key, value in FIELDS.items() if key != name})


#: Of each field values that it cannot have.
WRONG = {
    "name": [None, 3, "", "../../etc/passwd", "a\\b", "a/b", "a\nb", "a\0b", "a\ud800",
             "x" * 5000, [], {}],
    "experiment": [None, 5, [], {"tsp5": 1}, "../tsp5", "\x1b[31m"],
    "choices": [None, [], "grad", {"grad": 1}, {"grad": None}, {"grad": DEEP}],
    "config": [None, [], "tsp5", 3, {"trainer": 3}, {"trainer": None}, {"trainer": [1]},
               {"data": DEEP}],
    "profile": [None, 3, [], "../x", "a/b", ""],
    "data_source": [None, 3, [], "a/b", ""],
    "data_fingerprint": [None, 3, [], {}],
    "seed": [None, SCRIPT, "0", 0.5, 1.0, True, [], {}, float("nan"), float("inf")],
    "metrics": [None, [], 3, {"test/accuracy": "0.9"}, {"test/accuracy": SCRIPT}, {"a": None},
                {"a": [1]}, {"a": {}}, {"a": True}, {"a": 10**400}],
    "best_epoch": [None, "1", 1.5, -1, True, [], float("nan"), float("inf")],
    "curves": [None, [], {"val/accuracy": 3}, {"val/accuracy": ["0.1"]}, {"val/accuracy": [None]},
               {"val/accuracy": [[1]]}, {"val/accuracy": {"0": 1}}, {"val/accuracy": [10**400]}],
    "seconds": [None, [], {"train": "60"}, {"train": -1}, {"train": float("nan")},
                {"train": float("inf")}, {"train": None}, {"train": SCRIPT}],
    "versions": [None, [], {"torch": 2}, {"torch": None}],
    "commit": [None, 3, []],
    "hardware": [None, [], "cpu", 3, {"cores": DEEP}],
    "command": [None, 3, ["python"], {}],
    "started": [None, 3, "yesterday", SCRIPT, [], "2026-01-01"],
    "finished": [None, 3, "yesterday", SCRIPT, [], "2026-99-99T00:00:00+00:00"],
    "resumed_at": [None, 3, "1", ["1"], [-1], [1.5], [True], {}],
    "format": [None, 0, -1, 99, "1", 1.0, True, [], 10**30],
}  # fmt: skip

#: Files that are no record, by what is wrong with them.
REFUSED = {
    "empty": "",
    "blank": " \n",
    "cut": a_record(7).to_json()[:300],
    "null": "null",
    "number": "3",
    "text": '"a record"',
    "list": "[]",
    "list of records": f"[{a_record(7).to_json()}]",
    "empty object": "{}",
    "two records": a_record(7).to_json() * 2,
    "no JSON": "name: tsp5",
    "page": f"<html>{SCRIPT}</html>",
    "deep list": "[" * 100_000 + "]" * 100_000,
    "deep object": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "deep config": edited(config="?").replace('"?"', '{"a":' * 600 + "1" + "}" * 600),
    "endless number": edited(seed="?").replace('"?"', "9" * 5000),
    "latin-1": edited(commit="é").encode("utf-8").replace(b"\\u00e9", b"\xe9"),
    "utf-16": a_record(7).to_json().encode("utf-16"),
    "mark before it": b"\xef\xbb\xbf" + a_record(7).to_json().encode(),
    "bytes": bytes(range(256)),
    **{
        f"no {name}": without(name)
        for name in (
            "name", "experiment", "config", "profile", "data_source", "data_fingerprint", "seed",
            "metrics", "best_epoch", "seconds", "format",
        )
    },
    **{
        f"{name} {number}": edited(**{name: value})
        for name, values in WRONG.items()
        for number, value in enumerate(values)
    },
}  # fmt: skip

#: Records of right types that say strange things; they are shown, or left out of a mean by name.
ODD = {
    "huge numbers": {"metrics": {"test/accuracy": 1e308, "last/x": -1e308, "y": 2**999}},
    "huge curve": {"curves": {"val/accuracy": [1e308, -1e308, 2**999]}},
    "no numbers": {"metrics": {}, "curves": {}, "seconds": {}},
    "not finite": {
        "metrics": {"test/accuracy": float("nan")},
        "curves": {"val/accuracy": [float("inf"), float("-inf"), float("nan")]},
    },
    "huge seed": {"seed": 10**400},
    "negative seed": {"seed": -(10**30)},
    "huge epoch": {"best_epoch": 10**400, "resumed_at": [10**400]},
    "short curve": {"curves": {"val/accuracy": [0.5]}},
    "long curve": {"curves": {"val/accuracy": [0.5] * 1000}},
    "empty curve": {"curves": {"val/accuracy": []}},
    "unknown metrics": {"metrics": {"": 1.0, "/": 2.0, "a/b/c": 3.0, SCRIPT: 4.0, "é\0": 5.0}},
    "unknown profile": {"profile": SCRIPT.replace("/", "|")},
    "unknown source": {"data_source": '"><img onerror=alert(1)>'},
    "unknown fields": {"extra": {"deep": DEEP}, SCRIPT: SCRIPT},
    "script as a name": {"name": SCRIPT.replace("/", "|"), "experiment": "' onload='alert(1)"},
    "formula as a name": {"name": "=1+1", "experiment": "@SUM(A1)"},
    "digits as a name": {"name": "9" * 200, "experiment": "²9" * 90},
    "command": {"command": f"\x1b[31m{SCRIPT}\r\n\0 x={SCRIPT}", "commit": SCRIPT},
    "hardware": {"hardware": {SCRIPT: [[[[1]]]], "x": None, "y": [SCRIPT], "z": 1e999}},
    "monitor": {"config": {"monitor": SCRIPT}},
    "monitor list": {"config": {"monitor": [1, 2]}},
    "data": {"config": {"data": 3, "seed": {"a": 1}}},
    "margin": {"config": {"margin": "none", "trainer": {}}},
    "half a letter": {"command": "\ud800", "commit": "\udfff", "hardware": {"\ud800": "\ud800"}},
    "no times": {"started": "", "finished": ""},
    "a time of another zone": {"finished": "9999-12-31T23:59:59+14:00"},
    "key": {"key": SCRIPT},
}


def fill(folder):
    """Puts everything that is no record into a folder; returns the files."""
    bad = []
    for number, content in enumerate(REFUSED.values()):
        path = folder / f"bad{number:03}.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        bad.append(path)
    (folder / "folder.json").mkdir()
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    (folder / "loop.json").symlink_to(folder / "loop.json")
    os.mkfifo(folder / "pipe.json")
    return [*bad, *(folder / f"{name}.json" for name in ("folder", "dangling", "loop", "pipe"))]


def naming(warned, path):
    """The warnings that name a file."""
    return [text for text in map(str, warned) if f"{path} " in text]


def test_each_file_that_is_no_record_is_named_once_and_stops_nothing(tmp_path):
    for record in GOOD:
        save_record(record, tmp_path)
    bad = fill(tmp_path)
    assert len(bad) > 150
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load_records(tmp_path) == GOOD
    said = [str(warning.message) for warning in caught]
    assert len(said) == len(bad)
    for path in bad:
        (text,) = naming(said, path)
        assert "is no run record that can be read, and is left alone: " in text
        # One line, in words, without what the file says at length.
        assert len(text.removeprefix(str(path))) < 250
        assert text.isprintable()


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_field_is_named_with_what_it_must_be(name, tmp_path):
    for value in WRONG[name]:
        path = tmp_path / "x.json"
        path.write_text(edited(**{name: value}), encoding="utf-8")
        with pytest.raises(ValueError, match="no run record") as refused:
            load_record(path)
        word = "format" if name == "format" else f"field {name!r} must be"
        assert word in str(refused.value), value


def a_layout():
    document = {"metrics": [METRIC], "rows": ["{experiment}"], "columns": ["{grad}"]}
    return read_layout("table6", "A table", "paper", 2, document)


def a_sketch(draw):
    metric = METRIC if draw == "values" else {**METRIC, "name": "val/accuracy"}
    document = {"draw": draw, "metrics": [metric], "series": ["{grad}"]}
    if draw == "values":
        document |= {"x": {"key": "alpha", "label": "alpha"}, "absent": {"alpha": 0}}
    return read_sketch("figure4a", "A figure", "paper", 2, document, ASKED)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ODD)
def test_a_record_that_says_strange_things_is_shown_and_stops_nothing(name, tmp_path):
    folder = tmp_path / "runs"
    for record in GOOD:
        save_record(record, folder)
    (folder / "odd.json").write_text(edited(**ODD[name]), encoding="utf-8")
    records = load_records(folder)
    assert len(records) == 3

    tables = make_tables(a_layout(), ASKED, records, [])
    (own,) = [table for table in tables if table.id == "table6-paper-regenerated"]
    ((cell,),) = own.grid
    assert {record.file_name for record in GOOD} <= set(cell.runs)
    for render in (to_markdown, to_latex, to_html):
        assert all(render(table).encode("utf-8") for table in tables)
    rows = list(csv.DictReader(io.StringIO(to_csv(tables), newline="")))
    assert len(rows) == len(tables)

    drawings = []
    for draw in ("values", "curves"):
        sketch = a_sketch(draw)
        for profile, source in groups(sketch, records):
            data = collect(sketch, records, profile, source)
            assert draw_figure(data).axes
            drawings.append(Drawing(sketch, profile, source, "<svg/>", unfit=data.unfit))
    page = to_page(Report(records, tables, drawings, [], tmp_path / "index.html", "now", "x"))
    assert page.encode("utf-8")
    assert "odd.json" in page
    assert "<script>alert" not in page
    assert "<img onerror" not in page


def test_two_records_of_one_run_are_both_named_and_the_later_counts(tmp_path):
    late = dataclasses.replace(
        GOOD[0], metrics={"test/accuracy": 0.9}, finished="2026-02-01T00:00:00+00:00"
    )
    for name, record in (("b", GOOD[0]), ("a", late)):
        (tmp_path / f"{name}.json").write_text(record.to_json(), encoding="utf-8")
    with pytest.warns(UserWarning, match="are records of the same run") as warned:
        (found,) = load_records(tmp_path)
    assert found.metrics == late.metrics
    (text,) = [str(warning.message) for warning in warned]
    assert text.startswith(f"{tmp_path / 'a.json'} and {tmp_path / 'b.json'} are")
    assert "the former, which finished last, counts" in text


def test_the_scripts_make_the_same_of_a_folder_with_and_without_bad_files(tmp_path, run_script):
    clean, dirty = tmp_path / "clean", tmp_path / "dirty"
    clean.mkdir()
    for path in RUNS.glob("tsp5-identity-std-noise0.2-reduced-*.json"):
        shutil.copy(path, clean)
    shutil.copytree(clean, dirty)
    bad = fill(dirty)

    status, text, _ = run_script("tables", "6", "--format", "csv", "--results", clean)
    assert (status, text.count("tsp5-identity-std-noise0.2-reduced-seed1")) == (0, 1)
    status, other, errors = run_script("tables", "6", "--format", "csv", "--results", dirty)
    assert (status, other) == (0, text)
    assert [len(naming(errors.splitlines(), path)) for path in bad] == [1] * len(bad)

    for runs in (clean, dirty):
        status, *_ = run_script(
            "figures", "4b_tsp5", "--results", runs, "--save-in", f"{runs}-figures"
        )
        assert status == 0
    name = "figure4b_tsp5-reduced-regenerated.svg"
    drawn = [(tmp_path / f"{runs}-figures" / name).read_bytes() for runs in ("clean", "dirty")]
    assert drawn[0] == drawn[1]
