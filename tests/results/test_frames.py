"""The DataFrame of the records, against the records and a table's own mean."""

import dataclasses
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combgrad.plans.grids import load_plans, tables_of
from combgrad.results import frame, load_records
from combgrad.results.frames import CELL
from combgrad.results.selection import counted
from combgrad.runs.configuration import CONFIG_FOLDER

RUNS = CONFIG_FOLDER.parent / "results" / "runs"


@pytest.fixture(scope="module")
def plain():
    """Any record; read once, as reading all takes a second."""
    return load_records(RUNS)[0]


def test_one_row_a_run_with_all_it_says():
    records = load_records(RUNS)
    table = frame(RUNS).set_index("key")
    assert len(table) == len(records) >= 151
    for record in records[::10]:
        row = table.loc[record.key]
        assert row["experiment"] == record.experiment
        assert row["config.solver._target_"] == record.config["solver"]["_target_"]
        assert row["choices.grad"] == record.choices["grad"]
        assert row["seconds.train"] == record.seconds["train"]
        epochs = len(record.curves["train/loss"])
        assert row["seconds.epoch"] == pytest.approx(record.seconds["train"] / epochs)
        assert row["curves.train/loss"] == record.curves["train/loss"]
        for name, value in record.metrics.items():
            assert row[name] == value or value != value


def test_grouping_by_what_a_cell_shares_gives_the_cells_of_a_table():
    runs = frame(RUNS)
    means = {
        frozenset(group.file): (group["test/edge_accuracy"].mean(), len(group))
        for _, group in runs[runs.counts].groupby(CELL)
    }
    (plan,) = load_plans("table", "6")
    cells = [
        cell
        for table in tables_of(plan, load_records(RUNS))
        for _, _, cell in table.cells()
        if cell.values
    ]
    assert len(cells) >= 12
    for cell in cells:
        mean, count = means[frozenset(cell.runs)]
        assert (100 * mean, count) == (pytest.approx(cell.mean), len(cell.values))


def test_grouping_gives_the_mean_of_a_cell():
    table = frame(records=load_records(RUNS))
    cell = table[(table.experiment == "tsp5") & (table.profile == "paper")]
    means = cell.groupby("config.margin.alpha")["test/edge_accuracy"].mean()
    values = [
        record.metrics["test/edge_accuracy"]
        for record in load_records(RUNS)
        if record.experiment == "tsp5"
        and record.profile == "paper"
        and record.config["margin"]
        and record.config["margin"]["alpha"] == 0.2
    ]
    assert len(values) >= 3
    assert means[0.2] == pytest.approx(statistics.fmean(values))


def test_a_diverged_number_is_told_from_a_missing_one(plain):
    given = [{"test/a": 0.5}, {"test/a": float("nan"), "test/b": 2.0}, {}]
    runs = frame(records=[dataclasses.replace(plain, metrics=metrics) for metrics in given])
    assert runs["test/a"].isna().tolist() == [False, True, True]
    assert runs.diverged.tolist() == [(), ("test/a",), ()]


def test_no_metric_takes_the_place_of_a_column_that_tables_are_made_by(plain):
    names = ("seed", "signature", "counts", "diverged", "file")
    strange = dataclasses.replace(plain, metrics=dict.fromkeys(names, 7.0))
    (row,) = frame(records=[strange]).to_dict("records")
    found = (row["seed"], row["signature"], row["counts"], row["diverged"], row["file"])
    assert found == (plain.seed, plain.signature, True, (), plain.file_name)


def counting_by_hand(records):
    """The file names of the records that count, cell by cell in plain loops."""
    counting = set()
    for cell in {(r.signature, r.profile, r.data_source) for r in records}:
        runs = [r for r in records if (r.signature, r.profile, r.data_source) == cell]
        best = None
        for data in {r.data_fingerprint for r in runs}:
            latest = {}
            for run in sorted(runs, key=lambda r: (r.finished, r.file_name)):
                if run.data_fingerprint == data:
                    latest[run.seed] = run
            rank = (len(latest), max(r.finished for r in latest.values()), data)
            if best is None or rank > best[0]:
                best = (rank, latest)
        counting |= {run.file_name for run in best[1].values()}
    return counting


RUN = st.tuples(st.sampled_from("ab"), st.sampled_from("fgh"), st.integers(0, 2), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(drawn=st.lists(RUN, max_size=9))
def test_the_latest_run_of_each_seed_on_the_data_of_most_seeds_counts(plain, drawn):
    records = [
        dataclasses.replace(
            plain,
            config={"cell": cell},
            data_fingerprint=data,
            seed=seed,
            finished=f"2026-01-0{day}T00:00:00+00:00",
            path=Path(f"{number}.json"),
        )
        for number, (cell, data, seed, day) in enumerate(drawn)
    ]
    runs = frame(records=records)
    assert runs.file.tolist() == [record.file_name for record in records]
    assert set(runs.file[runs.counts]) == counting_by_hand(records)
    kept, left_out = counted(records)
    assert [r.seed for r in kept] == sorted(runs.seed[runs.counts])
    assert [r.file_name for r in left_out] == sorted(runs.file[~runs.counts])


def test_no_records_give_an_empty_table_with_its_columns(tmp_path):
    runs = frame(tmp_path)
    assert len(runs) == 0
    assert {*CELL, "seed", "file", "diverged", "counts"} <= set(runs.columns)
    assert len(runs[runs.counts].groupby(CELL)) == 0


def test_results_load_no_torch_and_no_pandas_before_it_is_wanted():
    code = """
import sys, combgrad.plans.grids, combgrad.results.tables, combgrad.results.report
assert "torch" not in sys.modules and "pandas" not in sys.modules
combgrad.results.frame(records=[])
assert "pandas" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
