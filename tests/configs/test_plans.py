"""Plans: they load, mean what the paper's tables show, and their records find their cells."""

import sys
import warnings
from pathlib import Path

import pytest
from hydra.errors import HydraException

from combgrad.plans.grids import (
    Plan,
    PlanError,
    expand,
    load_plan,
    load_plans,
    names,
    plan_signatures,
    point_signatures,
    tables_of,
)
from combgrad.results import RunRecord, save_record
from combgrad.results.heads import words_of
from combgrad.results.identity import signature
from combgrad.results.paper import PAPERS, find_paper_value, paper_of, paper_values
from combgrad.runs.configuration import CONFIG_FOLDER, compose, scientific
from loading import loaded

ROOT = CONFIG_FOLDER.parent
ALL = [(kind, name) for kind in ("table", "figure") for name in names(kind)]

#: The paper's tables: (points, places in the table with all its metrics).
SIZES = {
    "table1": (15, 15),
    "table2": (36, 36),
    "table3": (16, 16),
    "table4": (72, 72),
    "table5": (56, 64),
    "table6": (12, 12),
    "table7": (6, 6),
    "table8": (10, 20),
}


def path_of(kind: str, name: str) -> Path:
    return CONFIG_FOLDER / kind / f"{name.removeprefix(f'{kind}_')}.yaml"


def plan_of(kind: str, name: str) -> Plan:
    return load_plan(path_of(kind, name))


def can_exist(point) -> bool:
    """Whether every option that the point chooses has its file."""
    groups = {key: value for key, value in point.items() if (CONFIG_FOLDER / key).is_dir()}
    return all((CONFIG_FOLDER / key / f"{value}.yaml").exists() for key, value in groups.items())


def a_record(words, source="regenerated", **metrics) -> RunRecord:
    """A record as a run of these overrides leaves it, with made-up numbers."""
    config = compose(words)
    seed = config.seed
    values = {name: {} for name in ("choices", "curves", "versions", "hardware")}
    return RunRecord(
        name=f"hand-made-{source}-{'-'.join(words).replace('=', '')}",
        experiment=str(config.choices.experiment),
        config=scientific(config),
        profile=str(config.profile.name),
        data_source=source,
        data_fingerprint="f",
        seed=seed,
        metrics=metrics,
        best_epoch=0,
        seconds={"train": 600.0, "eval": 6.0, "solver": 1.0},
        commit="abc",
        command="",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:00:00+00:00",
        **values,
    )


POINT = {
    "experiment": "tsp5",
    "grad": "identity",
    "proj": "std",
    "margin": "noise",
    "margin.alpha": 0.2,
}
WORDS = [f"{key}={value}" for key, value in POINT.items()] + ["profile=paper"]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_plan_loads_and_opens_with_its_command(kind, name):
    plan = plan_of(kind, name)
    number = name.removeprefix(kind).removeprefix("_")
    assert plan.name == name
    assert plan.points
    assert plan.seeds >= 1
    first = path_of(kind, name).read_text(encoding="utf-8").splitlines()[0]
    assert f"python train.py -m {kind}={number} " in first
    assert f"python scripts/{kind}s.py {number}" in first
    assert load_plans(kind, number) == [plan]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_no_point_stands_twice_and_those_with_configs_compose(kind, name):
    points = plan_of(kind, name).points
    assert len({tuple(sorted(map(str, point.items()))) for point in points}) == len(points)
    tried: set[tuple] = set()
    for point in points:
        # One point for every value that a key takes within an experiment and method is enough.
        pairs = {(point["experiment"], point.get("grad"), *item) for item in point.items()}
        if can_exist(point) and not pairs <= tried:
            tried |= pairs
            assert set(point_signatures(point)) == {"paper", "reduced", "smoke"}


def test_every_table_of_the_paper_has_a_plan():
    assert set(SIZES) <= set(names("table"))
    numbers = {number for value in paper_values() for number in value.tables}
    first = {number for number in numbers if paper_of(number) is PAPERS[0]}
    assert first == {name.removeprefix("table") for name in SIZES}


@pytest.mark.parametrize("name", SIZES)
def test_a_table_has_the_papers_size_and_a_printed_number_everywhere(name, monkeypatch):
    plan = plan_of("table", name)
    # The numbers of Table 1 are means of ten runs, and its runs take a minute.
    assert (plan.profile, plan.seeds) == ("paper", 10 if name == "table1" else 3)
    monkeypatch.setattr("combgrad.plans.grids.point_signatures", lambda *_: {})
    (table,) = tables_of(plan, [])
    cells = [cell for _, _, cell in table.cells()]
    assert sum(map(len, table.grid)) == len(cells)
    # A table may say more than the paper's: which words were chosen, or smaller maps.
    values = [value for value in paper_values() if name[5:] in value.tables]
    metrics = {value.metric for value in values}
    experiments = {value.point["experiment"] for value in values}
    points = [point for point in plan.points if point["experiment"] in experiments]
    shared = [
        cell
        for cell in cells
        if cell.metric.name in metrics and cell.point["experiment"] in experiments
    ]
    assert (len(points), len(shared)) == SIZES[name]
    assert [cell for cell in shared if cell.paper is None] == []


@pytest.mark.parametrize("name", SIZES)
def test_every_printed_number_has_a_point(name):
    plan, number = plan_of("table", name), name.removeprefix("table")
    found = [
        find_paper_value(paper_values(), number, point, metric["name"])
        for point in plan.points
        for metric in plan.layout["metrics"]
    ]
    printed = {id(value) for value in paper_values() if number in value.tables}
    assert {id(value) for value in found if value} == printed


def test_every_number_of_the_companion_paper_has_a_point_but_those_of_cvxpylayers():
    plan = plan_of("table", "table_values1")
    found = [
        find_paper_value(paper_values(), "values1", point, metric["name"])
        for point in plan.points
        for metric in plan.layout["metrics"]
    ]
    printed = [value for value in paper_values() if "values1" in value.tables]
    ours = {id(value) for value in printed if value.point.get("grad") != "cvxpylayers"}
    assert len(ours) == len(printed) - 6 == 36
    assert {id(value) for value in found if value} == ours


def test_the_points_of_a_grid():
    grid = {"a": [1, 2], "b": "x", "c.d": [0.0, 0.5]}
    wanted = [{"a": a, "b": "x", "c.d": d} for a in (1, 2) for d in (0.0, 0.5)]
    assert expand(grid) == wanted
    assert words_of(wanted[1]) == ["a=1", "b=x", "c.d=0.5"]


def test_parts_of_a_figure_and_unknown_numbers():
    parts = [plan.name for plan in load_plans("figure", "4")]
    assert parts == [name for name in names("figure") if name[:-1] == "figure4"]
    assert "figure4a" in parts
    assert [plan.name for plan in load_plans("table", "table6")] == ["table6"]
    there = ", ".join(name.removeprefix("table").removeprefix("_") for name in names("table"))
    with pytest.raises(PlanError, match=f"no table 'x'; there are {there}"):
        load_plans("table", "x")


def test_plans_of_another_paper_have_words_of_its_own(tmp_path):
    text = "title: x\nprofile: paper\nseeds: 1\ngrids: [{experiment: tsp5}]\n"
    (tmp_path / "train.yaml").write_text("")
    for file in ("table/table6", "table/values1", "figure/values1a", "figure/values1b"):
        (tmp_path / file).with_suffix(".yaml").parent.mkdir(exist_ok=True)
        (tmp_path / file).with_suffix(".yaml").write_text(text)
    assert names("table", tmp_path) == ["table6", "table_values1"]
    assert [p.name for p in load_plans("table", "6", tmp_path)] == ["table6"]
    for word in ("values1", "table_values1"):
        assert [p.name for p in load_plans("table", word, tmp_path)] == ["table_values1"]
    parts = [p.name for p in load_plans("figure", "values1", tmp_path)]
    assert parts == ["figure_values1a", "figure_values1b"]
    with pytest.raises(PlanError, match="no table 'values2'; there are 6, values1"):
        load_plans("table", "values2", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "must be a mapping"),
        ("title: x\nseeds: 1\n", "lacks profile, grids"),
        (
            "title: x\nprofile: paper\nseeds: 1\ngrids: [{a: [1, 2]}, {a: 2}]\n",
            "the same point twice",
        ),
    ],
)
def test_a_file_that_is_no_plan_is_named(text, message, tmp_path):
    path = tmp_path / "table6.yaml"
    path.write_text(text)
    with pytest.raises(PlanError, match=rf"table6\.yaml.* {message}"):
        load_plan(path)


def test_a_signature_is_that_of_the_point_and_profile_alone():
    found = point_signatures(POINT)
    for words in (["seed=0"], ["seed=5", "logger=none"], ["data.source=pictures", "threads=2"]):
        record = scientific(compose([*WORDS, *words]))
        assert signature(record) == found["paper"], words
    for words in (["margin.alpha=0.1"], ["profile=reduced"], ["corruption.label_rho=0.1"]):
        record = scientific(compose([*WORDS, *words]))
        assert signature(record) != found["paper"], words
    assert signature(scientific(compose([*WORDS, "profile=reduced"]))) == found["reduced"]


def test_what_cannot_be_composed_yet_is_empty_and_said():
    strange = (
        *({"experiment": "tsp99"}, {"experiment": "tsp98"}),
        *({"grad": "none such"}, {"margin.beta": 1}),
    )
    points = (POINT, *(POINT | other for other in strange))
    with pytest.warns(UserWarning, match="table6: 1 of 5 cells") as told:
        found = plan_signatures(Plan("table6", "", "paper", 3, points, {}))
    said = [str(warning.message) for warning in told]
    for text, words in zip(
        said, ("experiment tsp99", "experiment tsp98", "none such", "beta"), strict=True
    ):
        assert words in text
    assert [bool(signatures) for signatures in found] == [True, False, False, False, False]
    with pytest.raises(HydraException):
        point_signatures(points[1])


@pytest.fixture(scope="module")
def composed():
    """The signatures of Table 6, once for all tests: composing takes its time."""
    return plan_signatures(plan_of("table", "table6"))


@pytest.fixture
def quick(monkeypatch, composed):
    monkeypatch.setattr("combgrad.plans.grids.plan_signatures", lambda *_: composed)


@pytest.mark.usefixtures("quick")
def test_records_of_runs_find_their_cell():
    seeds = {0: 0.995, 1: 0.997, 2: 0.999}
    records = [
        a_record([*WORDS, f"seed={seed}"], **{"test/edge_accuracy": accuracy})
        for seed, accuracy in seeds.items()
    ]
    records.append(a_record([*WORDS, "corruption.label_rho=0.1"], **{"test/edge_accuracy": 0.1}))
    records.append(a_record(WORDS, "original", **{"test/edge_accuracy": 0.2}))
    tables = tables_of(plan_of("table", "table6"), records)
    assert [table.id for table in tables] == ["table6-paper-original", "table6-paper-regenerated"]
    cells = {str(cell.point): cell for _, _, cell in tables[1].cells()}
    cell = cells.pop(str(POINT))
    assert cell.values == pytest.approx([99.5, 99.7, 99.9])
    assert cell.difference == pytest.approx(99.7 - 99.67)
    assert [other for other in cells.values() if other.values] == []
    assert tables[1].strangers == (records[3].file_name,)


@pytest.fixture
def script(monkeypatch, quick):
    """Calls scripts/tables.py with arguments."""
    module = loaded(ROOT / "scripts" / "tables.py")
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tables.py", *map(str, arguments)])
        module.main()

    return call


@pytest.fixture
def runs(tmp_path) -> Path:
    folder = tmp_path / "runs"
    save_record(a_record([*WORDS, "seed=0"], **{"test/edge_accuracy": 0.996}), folder)
    return folder


def test_the_script_prints_every_format(script, runs, capsys):
    for kind, start in {"md": "## Table 6", "csv": "table,", "latex": "\\begin{table}"}.items():
        script("6", "--results", runs, "--format", kind)
        text = capsys.readouterr().out
        assert text.startswith(start)
        assert "99.60 (1)" in text or ",99.6," in text
    script("6", "--results", runs, "--source", "original")
    text = capsys.readouterr().out
    assert "99.60" not in text
    assert text.count("not run") == 12


def test_the_script_saves_whole_tables_beside_the_records(script, runs, capsys):
    script("6", "--results", runs, "--save")
    files = [runs.parent / "tables" / f"table6.{kind}" for kind in ("md", "csv", "tex", "html")]
    assert capsys.readouterr().out.splitlines() == list(map(str, files))
    assert sorted(files) == sorted((runs.parent / "tables").iterdir())
    assert all("99.6" in path.read_text(encoding="utf-8") for path in files)
    with pytest.raises(SystemExit):
        script("6", "--results", runs, "--save", "--source", "original")
    assert "leave out --profile and --source" in capsys.readouterr().err


def test_the_script_goes_on_beside_a_broken_record(script, runs, capsys):
    (runs / "half.json").write_text('{"key": "cut')
    with pytest.warns(UserWarning, match=r"half\.json is no run record"):
        script("6", "--results", runs)
    assert "99.60 (1)" in capsys.readouterr().out


def test_the_script_explains_what_it_cannot_do(script, runs, capsys):
    with pytest.raises(SystemExit, match="error: there is no table 'x'; there are 1, "):
        script("x", "--results", runs)
    with pytest.raises(SystemExit) as ended:
        script("6", "--results", runs / "nowhere")
    assert ended.value.code == 2
    assert "there is no folder" in capsys.readouterr().err
