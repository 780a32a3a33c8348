"""What a run says in the terminal: its result, or what was wrong with the command."""

import difflib
import re
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from combgrad.configuration import compose
from combgrad.results.record import RunRecord

LAUNCHERS_MISSING = (
    "The launchers are an extra: pip install -c constraints.txt -e '.[sweep]' (docs/scale-out.md)."
)
UNKNOWN_KEY = re.compile(r"Could not override '([\w.@/]+)'")


def explain(error: BaseException, arguments: Sequence[str]) -> str:
    """One message for an error a user can mend, and how to see more of it."""
    return f"error: {describe(error, arguments)}\n(HYDRA_FULL_ERROR=1 shows where it was raised)"


def describe(error: BaseException, arguments: Sequence[str]) -> str:
    """What an error says, or what Hydra wrapped in it; with the valid keys where one is unknown."""
    unknown = UNKNOWN_KEY.search(str(error))
    if unknown is not None:
        return f"unknown key {unknown.group(1)!r}. {valid_keys(unknown.group(1), arguments)}"
    cause = error
    while isinstance(cause, HydraException) and cause.__cause__ is not None:
        cause = cause.__cause__
    text = str(cause).strip() or type(cause).__name__
    missing = "hydra/launcher" in text
    return f"{text}\n{LAUNCHERS_MISSING}" if missing else text


def valid_keys(key: str, arguments: Sequence[str]) -> str:
    """The keys that exist beside an unknown one, and the closest of them."""
    others = [word for word in arguments if "=" in word and not word.lstrip("+~").startswith(key)]
    try:
        config = compose([word for word in others if "," not in word])
    except HydraException:
        config = compose()
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    while not isinstance(node, DictConfig):
        parent, _, name = parent.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
    keys = sorted(str(k) for k in node if not str(k).startswith("_"))
    if not parent:
        groups = [str(group) for group in config.choices if "/" not in str(group)]
        keys = sorted({*keys, *groups})
    place = f"{parent!r} has" if parent else "The top level has"
    if not keys:
        return f"{place} no keys with the chosen option; choose another option of the group first."
    close = difflib.get_close_matches(name, keys, n=1)
    hint = f" Did you mean {f'{parent}.' if parent else ''}{close[0]}?" if close else ""
    return f"{place} {', '.join(keys)}.{hint}"


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
