"""What the page of results says of minutes is what the records of results/times say."""

import re
import statistics

import pytest

from combgrad.results.store import load_records
from doc_pages import PAGES, ROOT, with_spread

PART = PAGES["results.md"].partition("\n## Minutes\n")[2].partition("\n## ")[0]

RECORDS = load_records(ROOT / "results" / "times")

#: A row of the page, without marks -> its experiment, and its solver where it is not ours.
MINUTES = {
    "TSP(10), our solver": "tsp10",
    "TSP(10), Gurobi": "tsp10 gurobi_tsp",
    "L2X (I-MLE for Blackbox)": "l2x_k10",
    "graph matching (WILLOW; paper VOC, SPair-71k)": "matching_willow",
    "retrieval (CUB-200 of 2010)": "cub2010",
    "TSP(5)": "tsp5",
    "TSP(20)": "tsp20",
    "Warcraft, 12x12": "warcraft12",
    "Warcraft, 30x30": "warcraft30",
    "DVAE (I-MLE for Blackbox)": "dvae",
    "headlines": "headline_reuters",
    "bags of 8": "bags_b8",
}
DECISIONS = {
    "scheduling by prices": "pto_energy_scheduling",
    "TSP(20)": "pto_tsp",
    "portfolio": "pto_portfolio",
    "knapsack": "pto_knapsack",
    "energy": "pto_energy",
    "sushi": "pto_sushi",
    "mazes, 32x32": "mazes",
    "shortest path, 5x5": "pto_shortest_path",
}


def runs_of(row):
    """The seconds of each seed, (those by Identity, those by what stands for Blackbox)."""
    experiment, _, solver = row.partition(" ")
    found: dict[int, dict[str, dict]] = {}
    for record in RECORDS:
        by_gurobi = record.choices["solver"] == "gurobi_tsp"
        if record.experiment == experiment and by_gurobi == bool(solver):
            method = "identity" if record.choices["grad"] == "identity" else "other"
            found.setdefault(record.seed, {})[method] = record.seconds
    return [(pair["identity"], pair["other"]) for _, pair in sorted(found.items())]


def cells(row, unit, digits):
    """Identity, Blackbox and their ratio as the page has them, and the solver's share in %."""
    runs = runs_of(row)
    assert len(runs) == 3, f"the page says three repetitions, and {row} has {len(runs)}"
    first, second = ([side["train"] / unit for side in sides] for sides in zip(*runs, strict=True))
    ratios = [a / b for a, b in zip(first, second, strict=True)]
    share = 100 * statistics.mean(other["solver"] / other["train"] for _, other in runs)
    return [with_spread(first, digits), with_spread(second, digits), with_spread(ratios, 2)], share


@pytest.mark.parametrize(
    ("columns", "rows", "unit", "digits"), [(6, MINUTES, 60, 2), (5, DECISIONS, 1, 1)]
)
def test_the_rows_are_those_of_the_records(columns, rows, unit, digits):
    lines = [re.split(r" *\| *", line.strip("| ")) for line in PART.splitlines() if "|" in line]
    found = {
        line[0].replace("*", "").replace("  ", " ").strip(): line[1:]
        for line in lines
        if len(line) == columns and line[0] and line[-1].endswith("%")
    }
    assert set(found) == set(rows)
    for name, printed in found.items():
        wanted, share = cells(rows[name], unit, digits)
        assert [cell.replace("*", "") for cell in printed[:3]] == wanted, name
        digits_of_share = len(printed[-1].rstrip(" %").partition(".")[2])
        assert printed[-1] == f"{share:.{digits_of_share}f} %", name
