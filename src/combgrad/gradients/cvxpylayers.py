"""cvxpylayers: the solution of a linear program, differentiated as that of a convex one."""

import importlib
from typing import Any

import torch
from torch import Tensor

from combgrad.errors import IncompatibleError, MissingPackageError, SolverInputError
from combgrad.gradients.base import GradientMethod, Saved
from combgrad.instances import NOTHING, Instances
from combgrad.solvers.base import Solver


class CvxpyLayers(GradientMethod):
    """y(w) and dL/dw by cvxpylayers, from the program min <w, y> with A y = b, y >= 0.

    The solver says A and b (`equalities`); where it has none, it is refused. While training the
    answer is what the convex solver finds, accurate to some digits; in evaluation it is the
    solver's own, without a gradient. A vertex does not move with the costs, so dL/dw is near 0 but
    where two of them cost the same; it is there to compare with, and slow. Needs the extra
    `values`. Source: Agrawal et al., NeurIPS 2019.

    Raises IncompatibleError for a solver without such a program, and MissingPackageError, when it
    is first asked, where cvxpylayers is not installed; SolverInputError, naming the batch index,
    for entries that are not finite.
    """

    homogeneous = True
    reads_solution = False

    def __init__(self) -> None:
        self._layers: dict[torch.Size, Any] = {}

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError for a solver that says no linear program."""
        if getattr(solver, "equalities", None) is None:
            raise IncompatibleError(
                f"CvxpyLayers needs a solver that is a linear program of a known form, and "
                f"{type(solver).__name__} is not; use Assignment(), or another gradient method."
            )

    def forward(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The convex solver's answer (B, *S), and the graph that it came by."""
        broken = ~torch.isfinite(costs).flatten(1).all(dim=1)
        if bool(broken.any()):
            raise SolverInputError(
                f"CvxpyLayers: costs of batch index {int(broken.nonzero()[0])} contain NaN, inf or "
                f"padding, and it cannot forbid an entry; look for a diverged network, or use "
                f"another gradient method."
            )
        with torch.enable_grad():
            leaf = costs.detach().to("cpu", torch.float64).requires_grad_()
            found = self._layer(solver, costs.shape[1:])(leaf.flatten(1))[0] if len(costs) else leaf
        answer = found.detach().to(costs).view_as(costs).clone()
        return answer, Saved(costs, answer, instances, (leaf, found))

    def evaluate(
        self, solver: Solver, costs: Tensor, instances: Instances = NOTHING
    ) -> tuple[Tensor, Saved]:
        """The solver's own answer (B, *S), which has no gradient."""
        return super().forward(solver, costs, instances)

    def vjp(self, solver: Solver, saved: Saved, grad_solution: Tensor) -> Tensor:
        """Return dL/dw (B, *S) as cvxpylayers has it."""
        del solver
        if not saved.extras:
            raise self.none_in_evaluation()
        if not len(grad_solution):
            return torch.zeros_like(grad_solution)
        leaf, found = saved.extras
        slope = grad_solution.to("cpu", torch.float64).view_as(found)
        (gradient,) = torch.autograd.grad(found, leaf, slope, retain_graph=True)
        return gradient.to(grad_solution)

    def _layer(self, solver: Solver, shape: torch.Size) -> Any:
        if shape not in self._layers:
            cvxpy, torch_layers = _package("cvxpy"), _package("cvxpylayers.torch")
            rows, sides = solver.equalities(shape)  # type: ignore[attr-defined]
            y, w = cvxpy.Variable(rows.shape[1]), cvxpy.Parameter(rows.shape[1])
            problem = cvxpy.Problem(cvxpy.Minimize(w @ y), [rows @ y == sides, y >= 0])
            self._layers[shape] = torch_layers.CvxpyLayer(problem, parameters=[w], variables=[y])
        return self._layers[shape]


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "CvxpyLayers needs the package cvxpylayers: pip install 'combgrad[values]', the extra "
            "`values` of this project."
        ) from error
