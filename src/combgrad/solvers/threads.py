"""Threads of a solver, few on little work and one after a fork, and of the user, one at a time."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch

Answer = TypeVar("Answer")

#: Below this much expected work threads save little, and on a busy machine waking them can cost
#: tens of milliseconds.
WORTH_SPLITTING_SECONDS = 5e-3

#: Whether this process is the child of a fork. It has none of its parent's threads, yet OpenMP, in
#: numba and in torch, believes them to be there: it waits for them, or ends the process.
_forked = type(multiprocessing.current_process()).__name__ == "ForkProcess"


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def thread_count(work_seconds: float, asked: int | None = None) -> int:
    """Threads for a batch whose solution is expected to take `work_seconds` on one.

    `asked` wins, then COMBGRAD_NUM_THREADS, then the work: 1 where splitting does not pay, else as
    many threads as torch may use in this process. A process made by fork, such as a worker of a
    DataLoader, always gets 1: threads do not survive a fork.

    Raises ValueError for a number that is not at least 1.
    """
    import numba  # which takes its time, and not every solver of this room needs it

    pinned = asked if asked is not None else os.environ.get("COMBGRAD_NUM_THREADS")
    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if pinned is not None:
        try:
            count = int(pinned)
        except ValueError:
            count = 0
        if count < 1:
            raise ValueError(
                f"threads (or COMBGRAD_NUM_THREADS) is {pinned!r}; it must be an integer >= 1."
            )
        return 1 if _forked else min(count, most)
    if _forked or work_seconds < WORTH_SPLITTING_SECONDS:
        return 1
    return min(torch.get_num_threads(), most)


def checked_threads(asked: int | None) -> int | None:
    """`asked`; ValueError unless it is None or at least 1, of COMBGRAD_NUM_THREADS too."""
    thread_count(0.0, asked)
    return asked


def on_threads(
    work_seconds: float,
    asked: int | None,
    alone: Callable[..., Answer],
    together: Callable[..., Answer],
    batch: np.ndarray,
    *further: Any,
) -> Answer:
    """What `alone(batch, *further)` answers, from `together(..., threads)` where splitting pays.

    See `thread_count` for the choice; an instance is never split.
    """
    threads = min(thread_count(work_seconds, asked), len(batch))
    if threads == 1:
        return alone(batch, *further)
    return together(batch, *further, threads)


class Turn:
    """A lock for solvers whose backend takes one thread at a time: `with turn: ...`.

    It goes along with its solver: a copy, and the child of a fork, has an open one of its own.
    """

    def __init__(self) -> None:
        self._lock, self._process = threading.Lock(), os.getpid()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Turn, ()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *reason: Any) -> None:
        self._lock.release()
