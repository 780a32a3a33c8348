"""Timing several implementations side by side, so that a drifting machine hits all alike."""

import contextlib
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

Clock = Callable[[], float]


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds through all implementations, and seconds for each of them."""

    rounds: int
    seconds: float


FULL = Effort(rounds=7, seconds=1.4)
QUICK = Effort(rounds=3, seconds=0.06)

#: An implementation so slow that its rounds take this many times its share stops early.
OVERDRAFT = 4


@dataclass(frozen=True)
class Sample:
    """The seconds of each call of one implementation."""

    seconds: tuple[float, ...]

    @property
    def ms_median(self) -> float:
        """The median in milliseconds."""
        return 1e3 * statistics.median(self.seconds)

    @property
    def ms_min(self) -> float:
        """The least in milliseconds."""
        return 1e3 * min(self.seconds)


@contextlib.contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """Let our solvers and torch use this many threads, with the solvers' own checks off."""
    wanted = {"COMBGRAD_NUM_THREADS": str(threads), "COMBGRAD_CHECK": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    torch_threads = torch.get_num_threads()
    os.environ.update(wanted)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(torch_threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect once, then leave the collector off."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def time_slice(call: Callable[[], Any], seconds: float, clock: Clock) -> list[float]:
    """Call at least once and until `seconds` are used; the seconds of each call."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        started = clock()
        call()
        times.append(clock() - started)
    return times


def interleave(
    calls: Mapping[str, Callable[[], Any]],
    effort: Effort,
    clock: Clock = time.perf_counter,
    around: Callable[[str], AbstractContextManager[Any]] = contextlib.nullcontext,
) -> dict[str, Sample]:
    """Time warmed-up calls in turn, A B C A B C and so on, an equal slice of time each.

    `around(name)` is entered outside the timed calls. A call of more than a slice is made once a
    round, and no more from the third round on once it has used far more than its share.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    share = effort.seconds / effort.rounds
    with without_garbage_collection():
        for turn in range(effort.rounds):
            for name, call in calls.items():
                if turn >= 3 and sum(times[name]) > OVERDRAFT * effort.seconds:
                    continue
                with around(name):
                    times[name] += time_slice(call, share, clock)
    return {name: Sample(tuple(seconds)) for name, seconds in times.items()}
