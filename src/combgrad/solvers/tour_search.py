"""Runs the compiled searches for tours so that they can be stopped: by Ctrl-C, by a time limit."""

import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.errors import TimeLimitError
from combgrad.solvers.edges import edge_ends
from combgrad.solvers.kernels.exact_held_karp import exact_held_karp
from combgrad.solvers.kernels.held_karp import held_karp, held_karp_parallel
from combgrad.solvers.kernels.tsp_tour import solve_range

# Python sees Ctrl-C between calls of compiled code only. This many operations take a few tenths of
# a second.
_SLICE = 200_000_000
_WITHOUT_END = 2**62

_PARTS_PER_THREAD = 4
_LOOKS_PER_LIMIT = 10
_LEAST_LOOK_SECONDS, _MOST_LOOK_SECONDS = 0.001, 0.1


def tours_by_programming(costs: NDArray[np.float64], k: int, threads: int = 1) -> NDArray[np.uint8]:
    """Shortest tours (B, E) for costs (B, E) of 3 <= k <= 12 cities, exact for any floats.

    A cost of inf forbids its edge; where no tour is left, the answer is one through such an edge.
    """
    rows = max(1, 4 * _SLICE // (k * k << k))
    if len(costs) > rows:
        slices = [costs[start : start + rows] for start in range(0, len(costs), rows)]
        return np.concatenate([tours_by_programming(part, k, threads) for part in slices])
    if threads == 1:
        solutions, doubtful = held_karp(costs, k)
    else:
        solutions, doubtful = held_karp_parallel(costs, k, threads)
    for row in np.flatnonzero(doubtful):
        solutions[row] = _exact_tour(costs[row], k)
    return solutions


def _exact_tour(costs: NDArray[np.float64], k: int) -> NDArray[np.bool_]:
    """The shortest tour (E,) for costs (E,) by whole numbers, many times slower."""
    order = exact_held_karp(costs, k)
    graph = np.zeros((k, k), dtype=np.bool_)
    graph[order, np.roll(order, -1)] = True
    return (graph | graph.T)[edge_ends(k)]


def tours_by_branching(
    costs: NDArray[np.float64],
    k: int,
    warm: NDArray[np.int64] | None = None,
    threads: int = 1,
    time_limit: float | None = None,
) -> NDArray[np.uint8]:
    """Shortest tours (B, E) for costs (B, E) of k >= 3 cities, up to rounding in the costs that
    could be part of them. A cost of inf is as in `tours_by_programming`.

    warm (B, k) holds tours to start from as cities in order, with -1 in the first place for none.

    Raises TimeLimitError, naming the batch index, for an instance that takes longer in seconds.
    """
    costs = np.ascontiguousarray(costs, dtype=np.float64)
    if warm is None:
        warm = np.full((len(costs), 1), -1, dtype=np.int64)
    work = _Work(costs, k, warm, np.zeros(costs.shape, dtype=np.uint8), np.zeros(1, dtype=np.int64))
    at = np.zeros(1, dtype=np.int64)
    if threads == 1 and time_limit is None:
        # Most calls end here: waking a thread would take as long as a small batch.
        work.solve(at, len(costs), _SLICE)
    if at[0] < len(costs):
        _solve_in_threads(work, int(at[0]), threads, time_limit)
    return work.solutions


class _Work(NamedTuple):
    costs: NDArray[np.float64]
    k: int
    warm: NDArray[np.int64]
    solutions: NDArray[np.uint8]
    halt: NDArray[np.int64]

    def solve(self, at: NDArray[np.int64], stop: int, operations: int) -> None:
        left = np.array([operations])
        solve_range(self.costs, self.k, self.warm, self.solutions, at, stop, left, self.halt)


def _solve_in_threads(work: _Work, start: int, threads: int, time_limit: float | None) -> None:
    """Solve all from start on, in threads of their own, as the compiled loop holds no lock: so the
    calling one stays free to be interrupted. Instances differ too much in time for even parts."""
    # Compiled here, as a thread cannot be interrupted in it and the time limit is for solving.
    work.solve(np.zeros(1, dtype=np.int64), 0, 0)
    parts = _PARTS_PER_THREAD * threads if threads > 1 else 1
    bounds = np.linspace(start, len(work.costs), parts + 1).astype(np.int64)
    at = bounds[:-1].copy()
    with ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(work.solve, at[part : part + 1], int(bounds[part + 1]), _WITHOUT_END)
            for part in range(parts)
        ]
        try:
            _wait(jobs, at, time_limit)
        except BaseException:
            work.halt[0] = 1
            raise


def _wait(jobs: list[Future[None]], at: NDArray[np.int64], time_limit: float | None) -> None:
    """Wait for all jobs, which are at the instances at (jobs,), as long as none takes too long."""
    look = None
    if time_limit is not None:
        look = min(max(time_limit / _LOOKS_PER_LIMIT, _LEAST_LOOK_SECONDS), _MOST_LOOK_SECONDS)
    seen, since = at.copy(), [time.monotonic()] * len(jobs)
    while wait(jobs, timeout=look, return_when=FIRST_EXCEPTION).not_done:
        now = time.monotonic()
        for number, job in enumerate(jobs):
            if at[number] != seen[number] or not job.running():
                seen[number], since[number] = at[number], now
            elif time_limit is not None and now - since[number] > time_limit:
                raise TimeLimitError(
                    f"TSP: batch index {seen[number]} was not solved within time_limit="
                    f"{time_limit} s; raise the limit, or wrap a heuristic with "
                    f"combgrad.solvers.from_function."
                )
        if any(job.done() and job.exception() for job in jobs):
            break
    for job in jobs:
        if job.done():
            job.result()
