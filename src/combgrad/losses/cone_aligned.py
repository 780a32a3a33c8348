"""CaVE: the angle between costs and the cone of those by which the true solution is the best."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_count, check_option, check_range
from combgrad.compatibility import check_relaxation
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.instances import NOTHING, Instances
from combgrad.labels import Labels, need
from combgrad.layer import CombinatorialLayer
from combgrad.losses.base import Loss, Outcome
from combgrad.losses.truncated_projection import stopped_short
from combgrad.projections import Norm
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver
from combgrad.solvers.forms import refuse_transforms
from combgrad.solvers.normal_cone import Cone, normal_cone

Aim = Literal["exact", "inner", "truncated"]

#: What lies nearer to its projection than this, relative to its length, lies in the cone, and
#: what has a shorter projection than this lies at a right angle to all of it.
INSIDE = 1e-7


class ConeAligned(Loss):
    """Mean over the batch of 1 - cos(-w, p), p being a point of the cone K of y*, a constant.

    K is spanned by the normals of the constraints of the solver's linear relaxation that bind at
    y*; where -w is in K, y* is the best. The loss is in [0, 2] and its gradient in w, of instance
    b, is (p/|p| - cos (-w/|w|)) / (|w| B); w = 0 has the loss 1 and no gradient. p is one of

    - exact: the projection of -w onto K, by non-negative least squares. The loss is then 0 on K
      alone, and 1 and flat where -w is at a right angle or more to all of K.
    - inner: the projection's direction moved inwards, (1 - r) p/|p| + r m, where -w is outside K;
      m is the mean of all unit normals. Never flat (CaVE+, by least squares).
    - truncated: an interior-point method for the projection stopped after `steps` steps, inside K
      but for few steps or costs much larger than 1 (CaVE+); needs clarabel, which the extra
      `values` brings.

    With ratio < 1 some training batches take (1 - r) (-w/|w|) + r m instead, without any projection
    (CaVE Hybrid). Asks no solver. With a projection w is the projected cost. Source: Tang and
    Khalil, CPAIOR 2024, and their code.

    Args:
        aim: `exact`, `inner` or `truncated`.
        inner: r, the share of the mean normal, in [0, 1].
        ratio: the share of training batches that are projected, in [0, 1]; one draw a batch. In
            evaluation all are, or for 0 none.
        steps: of `truncated`, >= 1.
        generator: of the draws, on the CPU; None for torch's global one.

    Raises ValueError for a value out of range; IncompatibleError for a solver without a linear
    relaxation, and for padding that its rows would count; SolverInputError, naming the batch index,
    for a target that is no solution or uses a forbidden entry, and for costs that contain NaN.
    """

    def __init__(
        self,
        aim: Aim = "inner",
        inner: float = 0.2,
        ratio: float = 1.0,
        steps: int = 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_option("aim", aim, Aim, "loss")
        self.aim: Aim = aim
        self.inner = check_range("loss.inner", inner, 1.0)
        self.ratio = check_range("loss.ratio", ratio, 1.0)
        self.steps = check_count("steps", steps, "loss")
        self.generator = generator

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError for a solver without a linear relaxation, with the reason."""
        check_relaxation("ConeAligned", solver)

    def forward(
        self,
        layer: CombinatorialLayer,
        costs: Tensor,
        labels: Labels,
        instances: Instances | None = None,
    ) -> Outcome:
        """The loss; ValueError without a target of the costs' shape."""
        known, solver = instances or NOTHING, layer.solver
        self.check_solver(solver)
        if solver.own_entries(costs, known) is not None:
            raise IncompatibleError(
                f"ConeAligned: the rows of {solver.own_name}'s program would count padding; "
                f"train on instances of one size, or take another loss."
            )
        target = known.zeroed(need("ConeAligned", "target", labels.target, costs))
        refuse_transforms(self.own_name, costs)
        prepared = layer.prepare(costs, labels, known)
        aims = self._aims(solver, prepared.detach(), target.detach())
        downhill = -prepared.masked_fill(prepared == torch.inf, 0.0)
        return Outcome((1 - (Norm()(downhill).flatten(1) * aims).sum(dim=1)).mean())

    def _aims(self, solver: Solver, costs: Tensor, target: Tensor) -> Tensor:
        """What -w is to be aligned with, of length 1 or 0, (B, n) for costs and target (B, *S)."""
        projects, program = self._projects(), solver.relaxation(costs.shape[1:])
        member = solver.feasible(target.to(costs.dtype)).tolist()
        aims = np.zeros(costs.flatten(1).shape)
        rows = (to_array(x.flatten(1)) for x in (costs, target))
        for index, (w, solution) in enumerate(zip(*rows, strict=True)):
            kept = w != np.inf
            wrong = _fault(w, solution, kept, member[index])
            if wrong:
                raise SolverInputError(f"ConeAligned: batch index {index}: {wrong}.")
            cone = normal_cone(program, solution, solver.cuts(solution), kept)
            aim = self._aim(-w[kept], cone, projects)
            aims[index, kept] = aim / (np.linalg.norm(aim) or 1.0)
        return to_tensor(aims, like=costs)

    def _projects(self) -> bool:
        """Whether this batch is projected."""
        if not self.training or self.ratio in (0.0, 1.0):
            return self.ratio > 0
        return float(torch.rand((), generator=self.generator)) < self.ratio

    def _aim(self, downhill: np.ndarray, cone: Cone, projects: bool) -> np.ndarray:
        """The point (n,) of a cone for a direction (n,)."""
        if projects and self.aim == "truncated":
            return stopped_short(downhill, cone.normals, self.steps)
        downhill = downhill / (abs(downhill).max(initial=0.0) or 1.0)
        nearest = cone.nearest(downhill) if projects else downhill
        # Of a point at a right angle to all of the cone rounding is left, and no direction.
        if np.linalg.norm(nearest) <= INSIDE * np.linalg.norm(downhill):
            nearest = np.zeros_like(nearest)
        away = np.linalg.norm(downhill - nearest) > INSIDE * np.linalg.norm(downhill)
        if projects and (self.aim == "exact" or not away):
            return nearest
        length = np.linalg.norm(nearest)
        return np.asarray((1 - self.inner) * nearest / (length or 1.0) + self.inner * cone.middle)


def _fault(costs: np.ndarray, solution: np.ndarray, kept: np.ndarray, member: bool) -> str:
    """What is wrong with an instance of costs and solution (n,), in words, or nothing."""
    if not np.isfinite(costs[kept]).all():
        return "its costs contain NaN or -inf; look for a diverged network"
    if solution[~kept].any():
        return "its true solution uses an entry of cost inf; forbid others"
    if not member:
        return "its true solution is none of the solver's; look at where targets come from"
    return ""
