"""Runs that look for faults: of few batches, of the same ones again and again, or profiled."""

from typing import Any

from omegaconf import DictConfig

from combgrad.data.datamodule import TensorDataModule
from combgrad.guards.lightning import pl


def trainer_arguments(config: DictConfig) -> dict[str, Any]:
    """The arguments of the trainer that a debug option sets; {} without one."""
    if not config.debug:
        return {}
    found: dict[str, Any] = {}
    if config.debug.epochs is not None:
        found["max_epochs"] = config.debug.epochs
    if config.debug.batches is not None:
        kinds = ("train", "val", "test")
        found |= {f"limit_{kind}_batches": config.debug.batches for kind in kinds}
    if config.debug.profiled:
        found["profiler"] = pl.profilers.SimpleProfiler(config.paths.output, "profile")
    return found


def repeat_batches(data: Any, config: DictConfig) -> None:
    """Let a data module give the batches of its first epoch in every epoch, where asked for.

    Raises ValueError for a data module that cannot.
    """
    if not (config.debug and config.debug.same):
        return
    if not isinstance(data, TensorDataModule):
        raise ValueError(
            f"debug={config.debug.name} repeats the batches of a TensorDataModule, and "
            f"{type(data).__name__} is none; write debug.same=false."
        )
    data.same_batches = True
