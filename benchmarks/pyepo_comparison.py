"""Tables of PyEPO's trainings beside our records: `python -m benchmarks.pyepo_comparison`.

It reads what `benchmarks.pyepo_training` wrote, finds the record of the same run, and writes
`pyepo_training.md` beside.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from benchmarks.pyepo_methods import METHODS
from benchmarks.pyepo_training import FILE, TASKS, Training, load
from combgrad.files.writing import write_text_atomically
from combgrad.results.record import RunRecord
from combgrad.results.store import Shelf

TITLES = dict(zip(TASKS, ("Shortest path 5x5", "Knapsack", "TSP(20)", "Portfolio"), strict=True))
SOLVERS = {"own": "PyEPO's", "ours": "ours"}
INTRODUCTION = """\
Normalised regret of the test set in %, mean over the seeds. A training by PyEPO has the instances,
the first weights, the batches, the optimizer and the epochs of our run of that seed. Model,
targets, loss and regret are PyEPO's; or, where the solver is "ours", all but the model, which is an
optModel of our solver. "difference" is PyEPO minus ours, the mean of the pairs and the largest; "in
deviations" is the mean over the standard deviation of ours over the seeds. "s, PyEPO" is processor
time of the steps, "s, ours" the time of the training on a busy machine, with Lightning's."""
HEAD = (
    "method", "solver", "seeds", "PyEPO, last", "ours, last", "difference", "largest",
    "in deviations", "PyEPO, best", "ours, best", "difference", "s, PyEPO", "s, ours",
)  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Trainings of one method by PyEPO and our records of the same runs, both by seed."""

    theirs: list[Training]
    ours: list[RunRecord]

    def values(self, epoch: str) -> tuple[list[float], list[float]]:
        """PyEPO's regrets and ours in %, after the `last` epoch or the `best`."""
        name = {"last": "last/normalised_regret", "best": "test/normalised_regret"}[epoch]
        theirs = [100 * getattr(training, epoch) for training in self.theirs]
        return theirs, [100 * record.metrics[name] for record in self.ours]

    def differences(self, epoch: str) -> list[float]:
        """PyEPO minus ours, in percentage points."""
        return [a - b for a, b in zip(*self.values(epoch), strict=True)]

    @property
    def deviations(self) -> float | None:
        """The mean difference of the last epoch by the deviation of ours; None of one seed."""
        ours = self.values("last")[1]
        return mean(self.differences("last")) / stdev(ours) if len(ours) > 1 else None


def paired(trainings: Iterable[Training], shelf: Shelf) -> dict[tuple[str, str, str], Pairs]:
    """(task, method, solver) -> what both have; noise of other seeds than the run's is left out."""
    found: dict[tuple[str, str, str], Pairs] = {}
    records = shelf.by_key()
    for training in sorted(trainings, key=lambda t: t.seed):
        record = records.get(training.key)
        if record is None or training.noise != training.seed:
            continue
        place = training.task, training.method, training.solver
        pairs = found.setdefault(place, Pairs([], []))
        pairs.theirs.append(training)
        pairs.ours.append(record)
    return found


def cells(method: str, solver: str, pairs: Pairs) -> list[str]:
    """A row as text."""
    row = [method, SOLVERS[solver], str(len(pairs.ours))]
    for epoch in ("last", "best"):
        theirs, ours = pairs.values(epoch)
        differences = pairs.differences(epoch)
        row += [f"{mean(theirs):.2f}", f"{mean(ours):.2f}", signed(mean(differences), 3)]
        if epoch == "last":
            by = pairs.deviations
            row += [signed(max(differences, key=abs), 3), "-" if by is None else signed(by, 2)]
    row.append(f"{mean(training.seconds for training in pairs.theirs):.1f}")
    return [*row, f"{mean(record.seconds['train'] for record in pairs.ours):.1f}"]


def signed(value: float, digits: int) -> str:
    """A difference with its sign, "0" where it rounds to nothing."""
    text = f"{value:+.{digits}f}"
    return text if float(text) else "0"


def tables(found: dict[tuple[str, str, str], Pairs]) -> str:
    """All tables in Markdown."""
    parts = ["# PyEPO's trainings beside ours", INTRODUCTION]
    for task in TASKS:
        rows = [
            cells(method, solver, found[task, method, solver])
            for method in METHODS
            for solver in SOLVERS
            if (task, method, solver) in found
        ]
        if rows:
            ruler = ["---", "---", *["---:"] * (len(HEAD) - 2)]
            lines = [f"| {' | '.join(row)} |" for row in (HEAD, ruler, *map(escaped, rows))]
            parts += [f"## {TITLES[task]}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def escaped(row: list[str]) -> list[str]:
    """Cells whose bars end no cell."""
    return [cell.replace("|", "\\|") for cell in row]


def main() -> None:
    """Write and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, default=FILE)
    parser.add_argument("--records", type=Path, nargs="+", default=[Path("results/runs")])
    asked = parser.parse_args()
    trainings = load(asked.file)
    found = paired(trainings, Shelf(asked.records))
    text = tables(found)
    write_text_atomically(asked.file.with_suffix(".md"), text)
    print(text)
    missing = len({training.key for training in trainings} - {
        record.key for pairs in found.values() for record in pairs.ours
    })  # fmt: skip
    if missing:
        print(f"note: {missing} trainings have no record of ours yet")


if __name__ == "__main__":
    main()
