"""Losses of bags of images: a step's loss and its gradient in the costs, of 128 images."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Case, Plan
from benchmarks.matching_cases import by_loss, value_and_gradient
from combgrad.gradients import Blackbox, CvxpyLayers, GradientMethod
from combgrad.losses import OptimalValue, Sinkhorn, SolutionCost
from combgrad.solvers import Assignment

#: Images of a step, and of a bag, as the experiment has them; classes of CIFAR-100.
IMAGES, SIZES, CLASSES = 128, (4, 12, 32), 100

#: A soft or convex matching counts as one that costs at most this share more.
SLACK = 0.01


def bag_costs(size: int) -> Tensor:
    """Costs (B, b, b) of bags in the middle of a training: each image's own label is likely."""
    generator = torch.Generator().manual_seed(size)
    label = torch.randint(CLASSES, (IMAGES // size, size), generator=generator)
    logits = torch.randn(*label.shape, CLASSES, generator=generator)
    logits.scatter_add_(2, label[:, :, None], torch.full((*label.shape, 1), 2.0))
    return -logits.log_softmax(2).gather(2, label[:, None].expand(-1, size, -1))


def bag_case(size: int) -> Case:
    """The ways of training on bags of a size."""

    def solution_cost(method: GradientMethod) -> Callable[[Tensor], Tensor]:
        return by_loss(SolutionCost(), Assignment(), method=method)

    return Case(
        f"loss of {IMAGES} images in bags, forward and backward",
        size,
        bag_costs(size),
        (
            value_and_gradient("optimal value", by_loss(OptimalValue(), Assignment())),
            value_and_gradient("matching by Blackbox", solution_cost(Blackbox(20.0))),
            value_and_gradient("Sinkhorn, tau 0.1", by_loss(Sinkhorn(0.1), Assignment())),
            value_and_gradient("matching by cvxpylayers", solution_cost(CvxpyLayers()), True),
        ),
        slack=SLACK,
    )


def bag_plans(threads: int) -> list[Plan]:
    """All cases, at one thread."""
    del threads
    return [Plan(f"bags of {size}", partial(bag_case, size)) for size in SIZES]
