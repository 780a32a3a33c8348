"""A pool of known solutions, which stand for all of Y where solving at every step is too slow."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from combgrad.arguments import Described, check_count, check_range
from combgrad.errors import IncompatibleError
from combgrad.instances import Instances
from combgrad.solvers.keys import Key, keys_of
from combgrad.solvers.spending import spent_on_all

#: Answers costs (B, *S) of described instances with solutions (B, *S), as a `Solver` does.
Asked = Callable[[Tensor, Instances], Tensor]


class SolutionPool(Described, nn.Module):
    """Distinct solutions of one feasible set Y, met so far: a finite part of it, from within.

    While training each call draws once for its whole batch: with probability `ratio` the batch is
    solved and what is new is kept, else no solver is asked. In evaluation nothing is drawn or kept.
    Losses take one, and `solvers.Cached` for gradient methods. Not to be mistaken for that cache's
    own solutions, which are exact: a pool answers costs that it has never seen. The solutions are
    part of the `state_dict`.
    Source: Mulamba et al., IJCAI 2021, where each instance draws for itself.

    Args:
        ratio: the share of training steps that ask the solver, in [0, 1]; 1 for all.
        size: how many solutions to keep, >= 1; those found first are dropped first.
        generator: of the draws, on the CPU; None for torch's global one.

    Raises ValueError for a value out of range; IncompatibleError for instances whose feasible sets
    differ, as by padding, entries of cost +inf or arguments with one entry for each, and for shared
    arguments other than those of the first use, which a checkpoint does not hold.
    """

    def __init__(
        self, ratio: float = 1.0, size: int = 10_000, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.ratio = check_range("pool.ratio", ratio, 1.0)
        self.size = check_count("size", size, "pool")
        self.generator = generator
        self.solutions = torch.zeros(0)
        self._keys: dict[bytes, None] = {}
        self._shared: dict[str, Key] | None = None

    def __len__(self) -> int:
        return len(self.solutions)

    def add(self, solutions: Tensor) -> None:
        """Keep those of the solutions (B, *S) that are new.

        Raises ValueError for another shape S and, naming the batch index, for NaN and inf.
        """
        if len(self) and solutions.shape[1:] != self.solutions.shape[1:]:
            raise ValueError(
                f"SolutionPool: solutions have shape {tuple(solutions.shape[1:])}, and those known "
                f"{tuple(self.solutions.shape[1:])}; use one pool for each problem."
            )
        _check_finite(solutions)
        solutions = solutions.detach() + 0.0  # -0.0 is no other solution
        new = []
        # What differs by the rounding of single precision is one solution.
        for row, values in enumerate(solutions.float().cpu().numpy()):
            key = values.tobytes()
            if key not in self._keys:
                self._keys[key] = None
                new.append(row)
        if not new:
            return
        known = [self.solutions.to(solutions.device)] if len(self) else []
        # The widest dtype that came holds all of them as they were.
        self.solutions = torch.cat([*known, solutions[new]])[-self.size :]
        for key in list(self._keys)[: -self.size]:
            del self._keys[key]

    def known(
        self, solver: Asked, costs: Tensor, instances: Instances, true: Tensor | None = None
    ) -> Tensor:
        """All known solutions (N, *S), among them, where this step solves, those of costs (B, *S).

        While training, true solutions (B, *S) are kept too. Raises ValueError where none is known
        and the solver is not to be asked.
        """
        self._step(solver, costs, instances, true)
        return self._all(costs)

    def solve(self, solver: Asked, costs: Tensor, instances: Instances) -> Tensor:
        """The solutions of costs (B, *S), or where this step does not solve the cheapest known.

        Raises ValueError where none is known and the solver is not to be asked.
        """
        if not self.training:
            return solver(costs, instances)
        solutions = self._step(solver, costs, instances)
        if solutions is not None:
            return solutions
        known = self._all(costs)
        return known[spent_on_all(costs, known).argmin(dim=1)]

    def _step(
        self, solver: Asked, costs: Tensor, instances: Instances, true: Tensor | None = None
    ) -> Tensor | None:
        """The solver's answers (B, *S), which are kept, or None where this step asks no solver."""
        shared = _shared_by(costs, instances)
        self._check_same(shared)
        if self.training and true is not None:
            self.add(true)
        solutions = None
        if self._asks(costs):
            solutions = solver(costs, instances)
            self.add(solutions)
        # Not before: what the solver has refused is not what the pool is of.
        self._shared = shared
        return solutions

    def _check_same(self, shared: dict[str, Key]) -> None:
        if self._shared is None or self._shared == shared:
            return
        names = [n for n in {**self._shared, **shared} if self._shared.get(n) != shared.get(n)]
        raise IncompatibleError(
            f"SolutionPool: {', '.join(map(repr, names))} of these instances differs, in type or "
            f"value, from that of the first use, so that known solutions may be infeasible now; "
            f"use one pool for each problem."
        )

    def _asks(self, costs: Tensor) -> bool:
        """Whether this step asks the solver, one draw; the first one does where it ever may."""
        if not (self.training and len(costs) and self.ratio):
            return False
        drawn = float(torch.rand((), generator=self.generator))
        return drawn < self.ratio or not len(self)

    def _all(self, costs: Tensor) -> Tensor:
        if not len(self) and len(costs):
            raise ValueError(
                "SolutionPool: no solution is known; add some, pool.add(solutions), such as the "
                "true ones of all training instances, or train with a ratio above 0."
            )
        if not len(self):
            return costs.new_zeros((1, *costs.shape[1:]))
        if self.solutions.shape[1:] != costs.shape[1:]:
            raise ValueError(
                f"SolutionPool: the known solutions have shape {tuple(self.solutions.shape[1:])} "
                f"and the costs {tuple(costs.shape[1:])}; use one pool for each problem."
            )
        self.solutions = self.solutions.to(costs.device)
        return self.solutions.to(costs.dtype)

    def get_extra_state(self) -> Tensor:
        """The known solutions (N, *S), for a checkpoint."""
        return self.solutions

    def set_extra_state(self, state: Tensor) -> None:
        """Know the solutions (N, *S) of a checkpoint, and no others."""
        self.solutions, self._keys, self._shared = torch.zeros(0), {}, None
        self.add(state)


def _check_finite(solutions: Tensor) -> None:
    finite = torch.isfinite(solutions)
    if not bool(finite.all()):
        bad = ~finite.flatten(1).all(dim=1)
        raise ValueError(
            f"SolutionPool: the solution of batch index {int(bad.nonzero()[0])} contains NaN or "
            f"inf ({int(bad.sum())} of {len(solutions)} solutions do) and would be answered from "
            f"now on; it is a label of the data or an answer of the solver, so look there."
        )


def _shared_by(costs: Tensor, instances: Instances) -> dict[str, Key]:
    """The keys of what all instances share; IncompatibleError where each has a set of its own."""
    own = [*instances.per_row, *(["valid"] if instances.valid is not None else [])]
    if bool((costs == torch.inf).any()):
        own.append("costs of +inf")
    if own:
        raise IncompatibleError(
            f"SolutionPool: {' and '.join(own)} give instances feasible sets of their own, and a "
            f"known solution need be none of the next instance; take a loss without a pool, such "
            f"as SPOPlus() or FenchelYoung(...), and a solver without one."
        )
    shared = {}
    for name, key in keys_of(instances.shared).items():
        if key is None:
            raise IncompatibleError(
                f"SolutionPool: {name!r} is a {type(instances.shared[name]).__name__}, which "
                f"cannot be compared with that of the next call; make it part of the solver, and "
                f"use one pool for each problem."
            )
        shared[name] = key
    return shared


def pool_of(part: object) -> SolutionPool | None:
    """The pool of a solver or loss, where it has one."""
    pool = getattr(part, "pool", None)
    return pool if isinstance(pool, SolutionPool) else None
