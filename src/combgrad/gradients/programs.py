"""What the methods that answer by a solver's linear relaxation share."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from combgrad.compatibility import check_relaxation
from combgrad.gradients.base import GradientMethod
from combgrad.instances import Instances
from combgrad.solvers.arrays import check_finite
from combgrad.solvers.base import Solver
from combgrad.solvers.ilp_program import Program
from combgrad.solvers.padding import SameSize, by_size

Made = TypeVar("Made")

NOT_FINITE = (
    "NaN, inf or padding, and it cannot forbid an entry; look for a diverged network, or use "
    "another gradient method."
)


class ProgramMethod(GradientMethod, Generic[Made]):
    """A method that answers by the solver's `relaxation`, and in evaluation by the solver itself.

    The instances of each size are answered apart, by the program of their own shape.
    """

    homogeneous = True
    plain_in_evaluation = True
    reads_solution = False

    def __init__(self) -> None:
        self._of: Solver | None = None
        self._made: dict[tuple[int, ...], Made] = {}

    def __getstate__(self) -> dict[str, Any]:
        # A layer of cvxpylayers cannot be copied; what was made is made anew.
        return {**self.__dict__, "_of": None, "_made": {}}

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError for a solver without a linear relaxation, with the reason."""
        check_relaxation(self.own_name, solver)

    @abstractmethod
    def make(self, program: Program) -> Made:
        """What is made of a program once, for all batches."""

    def sizes(
        self, solver: Solver, costs: Tensor, instances: Instances
    ) -> Iterator[tuple[SameSize, Made]]:
        """The instances of each size in costs (B, *S), and what was made of their program.

        Raises SolverInputError, naming the batch index, for costs that are not finite.
        """
        own = solver.own_entries(costs, instances)
        own = torch.ones_like(costs, dtype=torch.bool) if own is None else own.to(costs.device)
        check_finite(self.own_name, costs.masked_fill(~own, 0.0), NOT_FINITE)
        for some in by_size(self.own_name, own):
            yield some, self._made_for(solver, some)

    def _made_for(self, solver: Solver, some: SameSize) -> Made:
        if self._of is not solver:
            self._of, self._made = solver, {}
        if some.shape not in self._made:
            with some.counted():
                self._made[some.shape] = self.make(solver.relaxation(torch.Size(some.shape)))
        return self._made[some.shape]
