"""What a finished run says in the terminal."""

from rich.console import Console
from rich.table import Table

from combgrad.results.record import RunRecord


def print_summary(record: RunRecord) -> None:
    """Print the final metrics of a run as a table: at the best validation epoch and at the last."""
    table = Table(title=f"{record.name}  (profile {record.profile}, data {record.data_source})")
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
