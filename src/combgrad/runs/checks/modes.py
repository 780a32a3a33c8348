"""Ways of running that exclude each other: a training, a test of a checkpoint, a debug option."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from combgrad.arguments import is_whole
from combgrad.files.installation import program
from combgrad.runs.checks.reads import typed_keys

#: What a debug option sets -> the argument of the trainer, which has no say then.
SET_BY_DEBUG = {"epochs": "trainer.max_epochs", "profiled": "trainer.profiler"}


#: Words for a sweep, which tells none of its jobs of them.
OF_SWEEPS = frozenset({"table", "figure", "seeds", "dry", "rerun"})


def is_for_sweeps(word: str) -> str:
    """What to say of a sweep's word where there is none."""
    return f"{word} is for sweeps: {program()} -m {word} ..."


def faulty_mode(values: dict[str, Any], config: DictConfig) -> Iterator[str]:
    """One line for each word that the chosen way of running would ignore."""
    for name in sorted(OF_SWEEPS):
        if values.get(name):
            yield is_for_sweeps(f"{name}={str(values[name]).lower()}")
    debug, checkpoint = values.get("debug") or {}, values.get("checkpoint")
    if values.get("mode") == "test":
        if checkpoint is None:
            yield (
                "mode=test needs a checkpoint; write checkpoint=<file>, such as "
                "outputs/<run>/checkpoints/best.ckpt."
            )
        if values.get("resume"):
            yield "mode=test trains nothing that could go on; leave out resume=true."
        if debug:
            yield f"mode=test trains nothing to debug; leave out debug={debug.get('name')}."
    elif checkpoint is not None:
        yield (
            "checkpoint would be ignored: mode=test reads it. A training goes on from its own "
            "checkpoint with resume=true."
        )
    if debug:
        yield from _of_debug(debug, bool(values.get("resume")), typed_keys(config))


def _of_debug(debug: dict[str, Any], resume: bool, typed: set[str]) -> Iterator[str]:
    chosen = f"debug={debug.get('name')}"
    if resume:
        yield f"{chosen} neither resumes a run nor can be resumed; leave out resume=true."
    for name in ("epochs", "batches"):
        value = debug.get(name)
        if value is not None and not (is_whole(value) and value >= 1):
            yield f"debug.{name} is {value!r}; it must be a whole number, at least 1, or null."
    for name, key in SET_BY_DEBUG.items():
        if debug.get(name) and key in typed:
            yield (
                f"{key} would be ignored: {chosen} has debug.{name}={debug[name]}. Set "
                f"debug.{name} instead."
            )
