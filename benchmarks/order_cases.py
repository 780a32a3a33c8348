"""Top-k and ranking, against torch."""

from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Case, Implementation, Plan, function, solving
from benchmarks.references import double_argsort, torch_topk
from combgrad.solvers import Ranking, TopK

K = 10
TOPK_SHAPES = ((100, 20), (128, 512), (512, 512))
RANKING_SHAPES = ((128, 512), (512, 512))

#: From this many entries on a batch is worth two threads.
LARGE = 512 * 512


def scores(rows: int, length: int) -> Tensor:
    """Normally distributed costs (rows, length) in float32."""
    return torch.randn(rows, length, generator=torch.Generator().manual_seed(rows + length))


def order_case(
    what: str, shape: tuple[int, int], threads: int, make: tuple[Implementation, ...]
) -> Case:
    """The implementations at 1 thread and, for a large batch, at more."""
    most = threads if shape[0] * shape[1] >= LARGE else 1
    everything = tuple(
        Implementation(impl.name, impl.prepare, threads=n)
        for n in range(1, most + 1)
        for impl in make
    )
    return Case(what, shape[1], scores(*shape), everything)


def topk_plans(threads: int) -> list[Plan]:
    """k = 10 of rows of 20 and 512."""
    implementations = (
        function("torch.topk", partial(torch_topk, k=K)),
        solving("combgrad", partial(TopK, K)),
    )
    return [
        Plan(
            f"topk {shape[0]}x{shape[1]}",
            partial(order_case, "topk", shape, threads, implementations),
            quick=True,
        )
        for shape in TOPK_SHAPES
    ]


def ranking_plans(threads: int) -> list[Plan]:
    """Rows of 512."""
    implementations = (
        function("torch argsort twice", double_argsort),
        solving("combgrad", Ranking),
    )
    return [
        Plan(
            f"ranking {shape[0]}x{shape[1]}",
            partial(order_case, "ranking", shape, threads, implementations),
            quick=True,
        )
        for shape in RANKING_SHAPES
    ]
