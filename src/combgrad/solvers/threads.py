"""How many threads a batch deserves: few threads on little work are faster than many."""

import os

import numba
import torch

#: Below this much expected work threads save little, and on a busy machine waking them can cost
#: tens of milliseconds.
WORTH_SPLITTING_SECONDS = 5e-3


def thread_count(work_seconds: float, asked: int | None = None) -> int:
    """Threads for a batch whose solution is expected to take `work_seconds` on one.

    `asked` wins, then COMBGRAD_NUM_THREADS, then the work: 1 where splitting does not pay, else as
    many threads as torch may use in this process.

    Raises ValueError for a number that is not at least 1.
    """
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
        return min(count, most)
    if work_seconds < WORTH_SPLITTING_SECONDS:
        return 1
    return min(torch.get_num_threads(), most)
