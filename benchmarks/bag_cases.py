"""Losses of bags of images: a step's loss and its gradient in the costs, of 128 images."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Call, Case, Implementation, Plan
from combgrad.gradients import Blackbox, CvxpyLayers, GradientMethod, Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Loss, OptimalValue, Sinkhorn, SolutionCost
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


def loss_and_gradient(
    name: str, make: Callable[[], Loss], method: Callable[[], GradientMethod], foreign: bool = False
) -> Implementation:
    """A loss, forward and backward; it answers with B dL/dw, which is a matching."""

    def prepare(costs: Tensor) -> Call:
        loss, layer = make(), CombinatorialLayer(Assignment(), method())

        def call() -> Tensor:
            given = costs.clone().requires_grad_()
            (slope,) = torch.autograd.grad(loss(layer, given, Labels()).loss, given)
            return len(costs) * slope

        return call

    return Implementation(name, prepare, foreign=foreign)


def bag_case(size: int) -> Case:
    """The ways of training on bags of a size."""
    return Case(
        f"loss of {IMAGES} images in bags, forward and backward",
        size,
        bag_costs(size),
        (
            loss_and_gradient("optimal value", OptimalValue, Identity),
            loss_and_gradient("matching by Blackbox", SolutionCost, partial(Blackbox, 20.0)),
            loss_and_gradient("Sinkhorn, tau 0.1", partial(Sinkhorn, 0.1), Identity),
            loss_and_gradient("matching by cvxpylayers", SolutionCost, CvxpyLayers, foreign=True),
        ),
        slack=SLACK,
    )


def bag_plans(threads: int) -> list[Plan]:
    """All cases, at one thread."""
    del threads
    return [Plan(f"bags of {size}", partial(bag_case, size)) for size in SIZES]
