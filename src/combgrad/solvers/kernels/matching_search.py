"""Iterated local search for graph matching: shake, descend, walk on (Lourenco et al. 2003)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner
from combgrad.solvers.kernels.matching_fusion import Fusion, fuse, new_fusion
from combgrad.solvers.kernels.matching_model import Model
from combgrad.solvers.kernels.matching_moves import (
    SAVING,
    Labelling,
    change,
    copy_labelling,
    descend,
    new_labelling,
    place_labels,
    price_of,
)

# A walk accepts a loss of up to this share of what is left to gain by the bound.
_WORSE = 0.25
# A labelling is optimal when it costs no more than the bound, this share of its costs, and what
# rounding hides.
_PROOF = 1e-9
_SEED = np.uint64(88172645463325252)


class Walk(NamedTuple):
    """Where the search is, where it goes next, and the best that it has seen."""

    here: Labelling
    trial: Labelling
    best: Labelling
    fusion: Fusion
    costs: NDArray[np.float64]  # (2,) of here and of best
    random: NDArray[np.uint64]  # (1,) state of the random numbers


@inner
def new_walk(n1: int, n2: int) -> Walk:
    """Room for a model of at most that size."""
    return Walk(
        new_labelling(n1, n2),
        new_labelling(n1, n2),
        new_labelling(n1, n2),
        new_fusion(n1),
        np.empty(2),
        np.empty(1, dtype=np.uint64),
    )


@inner
def start_walk(w: Walk, m: Model, labels: NDArray[np.int64]) -> None:
    """Begin at labels (n1,), as good as they are."""
    w.random[0] = _SEED
    w.costs[0] = w.costs[1] = place_labels(w.best, m, labels)


@inner
def enough(w: Walk, m: Model, bound: float) -> float:
    """The cost up to which the best labelling counts as proven optimal by a bound."""
    label, prices, n1 = w.best.label, w.best.prices, m.sizes[0]
    size = 0.0
    for i in range(n1):
        size += abs(prices[i, label[i]])
    return bound + _PROOF * size + SAVING


@inner
def propose(w: Walk, m: Model, labels: NDArray[np.int64]) -> None:
    """Improve labels (n1,) by local search and fuse them with the best."""
    trial, best, costs = w.trial, w.best, w.costs
    place_labels(trial, m, labels)
    descend(trial, m)
    _keep_best(w, m)
    # Steps of a walk differ from the best in too little for this to pay.
    if fuse(w.fusion, best, trial, m):
        descend(best, m)
        costs[1] = price_of(best, m)


@inner
def _keep_best(w: Walk, m: Model) -> float:
    """Keep the trial if it is the best; returns its cost."""
    trial, costs = w.trial, w.costs
    cost = price_of(trial, m)
    if cost < costs[1] - SAVING:
        copy_labelling(trial, w.best, m)
        costs[1] = cost
    return cost


@inner
def _draw(state: NDArray[np.uint64], n: int) -> int:
    """A random integer below n (Marsaglia 2003)."""
    z = state[0]
    z ^= z << np.uint64(13)
    z ^= z >> np.uint64(7)
    z ^= z << np.uint64(17)
    state[0] = z
    return int(np.int64((z >> np.uint64(11)) % np.uint64(n)))


@inner
def _shake(w: Walk, m: Model) -> None:
    """Give two to four random nodes random labels."""
    trial, random = w.trial, w.random
    for _ in range(2 + _draw(random, 3)):
        i, label = _draw(random, m.sizes[0]), _draw(random, m.sizes[1])
        if label != trial.label[i]:
            change(trial, m, i, label, trial.label[i])


@inner
def search(w: Walk, m: Model, rounds: int, bound: float, halt: NDArray[np.int64]) -> None:
    """Walk for so many rounds from the best labelling, or until it meets the bound."""
    copy_labelling(w.best, w.here, m)
    w.costs[0] = w.costs[1]
    here, trial, costs = w.here, w.trial, w.costs
    for _ in range(rounds):
        if costs[1] <= enough(w, m, bound) or halt[0] != 0:
            break
        copy_labelling(here, trial, m)
        _shake(w, m)
        descend(trial, m)
        cost = _keep_best(w, m)
        worse = _WORSE * (costs[1] - bound) * (_draw(w.random, 1024) / 1024.0)
        if cost <= max(costs[0], costs[1] + worse):
            copy_labelling(trial, here, m)
            costs[0] = cost
