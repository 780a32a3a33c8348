"""What a finished run says in the terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from combgrad.results.record import RunRecord
from combgrad.runs.evaluation import Evaluation


def _print_name(text: str) -> None:
    """A run's name on a line of its own, which stays whole however narrow the terminal is."""
    Console().print(text, soft_wrap=True, highlight=False, markup=False)


def print_summary(record: RunRecord) -> None:
    """Print the final metrics of a run as a table: at the best validation epoch and at the last."""
    _print_name(f"{record.name}  (profile {record.profile}, data {record.data_source})")
    table = Table()
    table.add_column("metric")
    table.add_column(f"test, best epoch ({record.best_epoch + 1})", justify="right")
    table.add_column("test, last epoch", justify="right")
    for name in sorted(n.split("/", 1)[1] for n in record.metrics if n.startswith("test/")):
        values = (record.metrics[f"{prefix}/{name}"] for prefix in ("test", "last"))
        table.add_row(name, *(f"{value:.4f}" for value in values))
    seconds = record.seconds
    table.caption = (
        f"{seconds['train']:.0f} s of training, {seconds['solver']:.0f} s of them in the solver"
    )
    Console().print(table)


def print_debugged(record: RunRecord, option: str, folder: str) -> None:
    """Print how the metrics of a run with a debug option went, from its first epoch to its last."""
    epochs = max(map(len, record.curves.values()))
    _print_name(f"{record.name}  (debug={option}: no record)")
    table = Table()
    table.add_column("metric")
    for epoch in dict.fromkeys((1, epochs)):
        table.add_column(f"epoch {epoch}", justify="right")
    for name, curve in record.curves.items():
        ends = (curve[0], curve[-1])
        table.add_row(name, *(f"{value:.4f}" for value in ends[: len(table.columns) - 1]))
    table.caption = f"{record.seconds['train']:.1f} s of training"
    Console().print(table)
    for profile in sorted(Path(folder).glob("*-profile.txt")):
        Console().print(f"where the time goes: {profile}", soft_wrap=True, highlight=False)
    Console().print(f"the run's folder: {folder}", soft_wrap=True, highlight=False)


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the metrics of a checkpoint on validation and test data."""
    _print_name(f"{evaluation.name}  (after epoch {evaluation.epoch + 1})")
    table = Table()
    for column, side in (("metric", "left"), ("validation", "right"), ("test", "right")):
        table.add_column(column, justify=side)  # type: ignore[arg-type]
    metrics = evaluation.metrics
    for name in dict.fromkeys(key.split("/", 1)[1] for key in metrics):
        values = (metrics.get(f"{stage}/{name}") for stage in ("val", "test"))
        table.add_row(name, *("" if value is None else f"{value:.4f}" for value in values))
    Console().print(table)
    Console().print(f"of {evaluation.checkpoint}", soft_wrap=True, highlight=False)
