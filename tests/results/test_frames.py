"""The DataFrame of the records, against the records and a table's own mean."""

import statistics
import subprocess
import sys

import pytest

from combgrad.plans.grids import load_plans, tables_of
from combgrad.results import frame, load_records
from combgrad.runs.configuration import CONFIG_FOLDER

RUNS = CONFIG_FOLDER.parent / "results" / "runs"


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
        assert row["curves.train/loss"] == record.curves["train/loss"]
        for name, value in record.metrics.items():
            assert row[name] == value or value != value


def test_grouping_by_what_a_cell_shares_gives_the_cells_of_a_table():
    groups = frame(RUNS).groupby(["signature", "profile", "data_source", "data_fingerprint"])
    means = {
        frozenset(group.file): (group["test/edge_accuracy"].mean(), len(group))
        for _, group in groups
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
        mean, count = means[frozenset((*cell.runs, *cell.left_out))]
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
    assert len(values) == 3
    assert means[0.2] == pytest.approx(statistics.fmean(values))


def test_no_records_give_an_empty_table(tmp_path):
    assert len(frame(tmp_path)) == 0


def test_results_load_no_torch_and_no_pandas_before_it_is_wanted():
    code = """
import sys, combgrad.results, combgrad.results.tables, combgrad.results.report
assert "torch" not in sys.modules and "pandas" not in sys.modules
combgrad.results.frame(records=[])
assert "pandas" in sys.modules and "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
