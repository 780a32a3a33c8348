"""Convex programs over a solver's linear relaxation, solved and differentiated by cvxpylayers."""

import importlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.errors import MissingPackageError
from combgrad.gradients.base import Saved
from combgrad.gradients.programs import ProgramMethod
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver
from combgrad.solvers.ilp_program import Program


class ConvexProgram(ProgramMethod[Any]):
    """y(w) and dL/dw by cvxpylayers, for a convex objective over the solver's `relaxation`.

    While training the answer is what the convex solver finds, accurate to some digits, in general
    no member of Y; in evaluation it is the solver's own, without a gradient. Instances of different
    size are answered each by the program of its own. Needs the extra `values`.

    Raises IncompatibleError for a solver without a linear relaxation, and MissingPackageError, when
    it is first asked, where cvxpylayers is not installed; SolverInputError, naming the batch index,
    for entries that are not finite.
    """

    #: What diffcp is told beside the program; its own choice where empty.
    options: Mapping[str, Any] = {}

    @abstractmethod
    def objective(self, cvxpy: Any, costs: Any, solution: Any) -> Any:
        """What is minimised, of cvxpy's parameter w (n,) and variable y (n,)."""

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The convex solver's answer (B, *S), 0 for padding, and the graph that it came by."""
        with torch.enable_grad():
            leaf = costs.detach().to("cpu", torch.float64).requires_grad_()
            found = torch.zeros_like(leaf)
            for some, layer in self.sizes(solver, leaf, instances):
                found[some.entries] = layer(some.of(leaf).flatten(1))[0].flatten()
        answer = found.detach().to(costs).clone()
        return answer, Saved(costs, answer, instances, (leaf, found))

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return dL/dw (B, *S) as cvxpylayers has it."""
        del solver
        if not saved.extras:
            raise self.none_in_evaluation()
        if not len(grad_solution):
            return torch.zeros_like(grad_solution)
        leaf, found = saved.extras
        slope = grad_solution.to("cpu", torch.float64)
        (gradient,) = torch.autograd.grad(found, leaf, slope, retain_graph=True)
        return gradient.to(grad_solution)

    def make(self, program: Program) -> Any:
        """The program as a layer of cvxpylayers."""
        owner = self.own_name
        cvxpy, torch_layers = (_package(owner, x) for x in ("cvxpy", "cvxpylayers.torch"))
        y, w = (kind(len(program.least)) for kind in (cvxpy.Variable, cvxpy.Parameter))
        problem = cvxpy.Problem(
            cvxpy.Minimize(self.objective(cvxpy, w, y)), _constraints(program, y)
        )
        told = {"parameters": [w], "variables": [y], "solver_args": dict(self.options)}
        return torch_layers.CvxpyLayer(problem, **told)


class CvxpyLayers(ConvexProgram):
    """The solution of min <w, y> over the solver's linear relaxation, as cvxpylayers has its slope.

    A vertex does not move with the costs, so dL/dw is near 0 but where two of them cost the same;
    it is there to compare with, and slow; see `ConvexProgram` for the rest. Source: Agrawal et al.,
    NeurIPS 2019.
    """

    def objective(self, cvxpy: Any, costs: Any, solution: Any) -> Any:
        """<w, y>."""
        del cvxpy
        return costs @ solution


class QPTL(ConvexProgram):
    """The solution of min <w, y> + lam/2 |y|^2 over the solver's linear relaxation, and its slope.

    Where the relaxation is the hull of Y, as of paths in graphs without cycles, matchings and
    subsets, that is `RegularisedFrankWolfe(lam)`, which needs no further package; elsewhere, as of
    a knapsack or of tours, it is a point of the larger set. See `ConvexProgram` for the rest.
    Source: Wilder, Dilkina and Tambe, AAAI 2019.

    Args:
        lam: weight of the quadratic term, > 0, in units of cost.

    Raises ValueError for a value out of range.
    """

    #: A few digits, as SCS has them, are few for differences of answers.
    options: Mapping[str, Any] = {"solve_method": "Clarabel"}

    def __init__(self, lam: float) -> None:
        super().__init__()
        self.lam = check_positive("lam", lam)

    def objective(self, cvxpy: Any, costs: Any, solution: Any) -> Any:
        """<w, y> + lam/2 |y|^2."""
        return costs @ solution + self.lam / 2 * cvxpy.sum_squares(solution)


def _constraints(program: Program, solution: Any) -> list[Any]:
    """A program's rows and bounds, of cvxpy's variable."""
    equal = program.lower == program.upper
    below, above = (~equal & np.isfinite(side) for side in (program.upper, program.lower))
    fixed = program.least == program.most
    least, most = (~fixed & np.isfinite(side) for side in (program.least, program.most))
    sides = [
        (equal, program.matrix[equal] @ solution == program.upper[equal]),
        (below, program.matrix[below] @ solution <= program.upper[below]),
        (above, program.matrix[above] @ solution >= program.lower[above]),
        (fixed, solution[fixed] == program.least[fixed]),
        (least, solution[least] >= program.least[least]),
        (most, solution[most] <= program.most[most]),
    ]
    return [constraint for there, constraint in sides if there.any()]


def _package(owner: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{owner} needs the package cvxpylayers: pip install 'combgrad[values]', the extra "
            f"`values` of this project ({error.name} is missing)."
        ) from error
