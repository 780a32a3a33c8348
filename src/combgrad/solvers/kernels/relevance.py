"""Where the relevant columns of a row of scores stand, without sorting the row."""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel, prange


@inner
def _first_not_above(values: NDArray[np.floating], score: float) -> int:
    """The place of the first of falling values (R,) that is not above a score; R if all are."""
    low, high = 0, values.shape[0]
    while low < high:
        middle = (low + high) // 2
        if values[middle] > score:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def _of_row(
    scores: NDArray[np.floating],
    query: int,
    start: int,
    stop: int,
    ks: NDArray[np.int64],
    hits: NDArray[np.float64],
) -> float:
    """Average precision at R of a query whose relevant columns are [start, stop) but itself."""
    relevant = np.empty(stop - start - 1, dtype=scores.dtype)
    place = 0
    for i in range(start, stop):
        if i != query:
            relevant[place] = scores[i]
            place += 1
    relevant = -np.sort(-relevant)
    total = relevant.shape[0]
    limit = total
    for k in range(ks.shape[0]):
        limit = max(limit, int(ks[k]))
    # ahead[j]: the irrelevant ones that stand before j + 1 relevant ones and after j at most. Only
    # the first `kept` relevant ones can still have a rank up to the limit, `counted` stand before
    # the last of these.
    ahead = np.zeros(total, dtype=np.int64)
    kept, counted = total, 0
    for part in range(2):
        begin, end = (0, start) if part == 0 else (stop, scores.shape[0])
        for i in range(begin, end):
            if scores[i] >= relevant[kept - 1]:
                ahead[_first_not_above(relevant[:kept], scores[i])] += 1
                counted += 1
                while kept > 0 and kept + counted > limit:
                    kept -= 1
                    counted -= int(ahead[kept])
                if kept == 0:
                    return 0.0
    before, precision = 0, 0.0
    for j in range(kept):
        before += ahead[j]
        rank = j + 1 + before
        if j == 0:
            for k in range(ks.shape[0]):
                hits[k] = 1.0 if rank <= ks[k] else 0.0
        if rank > total:
            break
        precision += (j + 1) / rank
    return precision / total


@inner
def _of_range(
    scores: NDArray[np.floating],
    first: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    ks: NDArray[np.int64],
    hits: NDArray[np.float64],
    precision: NDArray[np.float64],
    begin: int,
    end: int,
) -> None:
    """The rows begin <= b < end."""
    for b in range(begin, end):
        if stops[b] - starts[b] > 1:
            precision[b] = _of_row(scores[b], first + b, starts[b], stops[b], ks, hits[b])


@kernel()
def count_ahead(
    scores: NDArray[np.floating],
    first: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    ks: NDArray[np.int64],
    hits: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> None:
    """For each row b of scores (B, N), of the query first + b: hits (B, K) and precision (B,).

    The relevant columns of row b are starts[b] <= i < stops[b] but the query itself; where there
    are none, its results stay 0. A hit at k is a relevant column among the first k in the falling
    order of scores, irrelevant ones before relevant ones of the same score.
    """
    _of_range(scores, first, starts, stops, ks, hits, precision, 0, scores.shape[0])


@kernel(parallel=True)
def count_ahead_parallel(
    scores: NDArray[np.floating],
    first: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    ks: NDArray[np.int64],
    hits: NDArray[np.float64],
    precision: NDArray[np.float64],
    threads: int,
) -> None:
    """The same as count_ahead with the rows cut into as many parts as threads."""
    batch = scores.shape[0]
    for part in prange(threads):
        begin, end = batch * part // threads, batch * (part + 1) // threads
        _of_range(scores, first, starts, stops, ks, hits, precision, begin, end)
