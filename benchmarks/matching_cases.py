"""Linear assignment and sequence alignment, against scipy, plain Python and a loop of torch."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Call, Case, Implementation, Plan, function, solving
from benchmarks.references import python_alignment, scipy_assignment, torch_alignment_value
from combgrad.gradients import GradientMethod, Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Loss, OptimalValue, SoftAlignment
from combgrad.solvers import Alignment, Assignment, Solver, TiedAlignment, move_costs

ASSIGNMENT_SIZES = (4, 8, 16, 32)
ASSIGNMENT_BATCH = 1000
ALIGNMENT_SIZES = (20, 50)
ALIGNMENT_BATCH = 50
#: Of losses of alignments, as many pairs of sequences as a batch of training has.
VALUE_BATCH, GAP = 64, 1.5


def assignment_case(size: int, threads: int) -> Case:
    """Uniformly random square matrices."""
    generator = torch.Generator().manual_seed(size)
    return Case(
        "assignment",
        size,
        torch.rand(ASSIGNMENT_BATCH, size, size, generator=generator),
        (
            function("scipy", scipy_assignment),
            solving("combgrad", Assignment),
            *(solving("combgrad", Assignment, threads=n) for n in range(2, threads + 1)),
        ),
    )


def alignment_case(length: int) -> Case:
    """Sequences of random features, matched at the price of their difference."""
    generator = torch.Generator().manual_seed(length)
    first, second = torch.rand(2, ALIGNMENT_BATCH, length, generator=generator)
    matches = (first[:, :, None] - second[:, None, :]).abs() + 0.05
    return Case(
        "alignment",
        length,
        move_costs(matches),
        (function("plain Python", python_alignment), solving("combgrad", Alignment)),
    )


def value_and_gradient(
    name: str, value: Callable[[Tensor], Tensor], foreign: bool = False
) -> Implementation:
    """A mean value of match costs, forward and backward; its gradient times the batch, as y."""

    def prepare(costs: Tensor) -> Call:
        def step() -> Tensor:
            leaf = costs.clone().requires_grad_()
            value(leaf).backward()
            assert leaf.grad is not None
            return leaf.grad * len(costs)

        return step

    return Implementation(name, prepare, foreign=foreign)


def by_loss(
    loss: Loss,
    solver: Solver,
    before: Callable[[Tensor], Tensor] = lambda costs: costs,
    method: GradientMethod | None = None,
) -> Callable[[Tensor], Tensor]:
    """The value that one of our losses has for a solver."""
    layer = CombinatorialLayer(solver, method or Identity())
    return lambda costs: loss(layer, before(costs), Labels()).loss


def alignment_value_case(length: int) -> Case:
    """Costs of matching random distributions of words with words: value and gradient."""
    generator = torch.Generator().manual_seed(length)
    logits = torch.randn(VALUE_BATCH, length, length, generator=generator)
    tied, moves = TiedAlignment(GAP, threads=1), Alignment(GAP, threads=1)
    return Case(
        "alignment value and gradient",
        length,
        -logits.log_softmax(dim=2),
        (
            value_and_gradient("torch loop", partial(torch_alignment_value, gap=GAP)),
            value_and_gradient("move costs", by_loss(OptimalValue(), moves, moves.move_costs)),
            value_and_gradient("combgrad", by_loss(OptimalValue(), tied)),
            value_and_gradient("soft, nearly cold", by_loss(SoftAlignment(1e-9), tied)),
        ),
    )


def assignment_plans(threads: int) -> list[Plan]:
    """All cases; the larger matrices also at 2 threads where the machine has them."""
    return [
        Plan(
            f"assignment {size}",
            partial(assignment_case, size, threads if size >= 16 else 1),
            quick=size <= 8,
        )
        for size in ASSIGNMENT_SIZES
    ]


def alignment_plans(threads: int) -> list[Plan]:
    """All cases, at one thread: their batches are small."""
    del threads
    return [
        Plan(f"{title} {length}", partial(build, length), quick=length <= 20)
        for title, build in (
            ("alignment", alignment_case),
            ("alignment value", alignment_value_case),
        )
        for length in ALIGNMENT_SIZES
    ]
