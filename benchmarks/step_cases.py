"""Whole steps of training on Warcraft maps, and their network alone in several ways of running it.

The solvers of a step all answer to the same costs: its learning rate is 0.
"""

import importlib
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Call, Case, Implementation, Plan, forward_backward
from benchmarks.grid_cases import BATCH
from benchmarks.references import grid_arcs, heapq_path
from combgrad.data.warcraft.files import MapSplit
from combgrad.data.warcraft.generated import Recipe, generate
from combgrad.data.warcraft.tiles import PIXELS
from combgrad.gradients import Blackbox
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Hamming
from combgrad.networks import TerrainNet
from combgrad.solvers import ShortestPath
from combgrad.solvers.shortest_path import Cells

#: The smallest and the largest of the published maps.
SIZES = (12, 30)

#: The strength of the blackbox gradient, as tuned for Warcraft in the configs.
LAM = 20.0

Layer = Callable[[Tensor], Tensor]


class HeapqPath(ShortestPath):
    """The same paths by the heap of the standard library."""

    def _solve(self, costs: Tensor, start: Cells = None, end: Cells = None) -> Tensor:
        del start, end  # the steps of this file go from corner to corner
        return heapq_path(costs.clamp_min(0.0))


def our_layer() -> Layer:
    """Our solver in our layer."""
    return CombinatorialLayer(ShortestPath(negative="clamp"), Blackbox(LAM))


def heapq_layer() -> Layer:
    """The plain solver in our layer."""
    return CombinatorialLayer(HeapqPath(negative="clamp"), Blackbox(LAM))


def pyepo_layer(side: int, backend: str) -> Layer:
    """PyEPO's module for its linear program of Warcraft, on Gurobi or OR-tools.

    The program is that of PyEPO's own notebook: every cell is an arc that has its cost, every step
    from a cell to another is an arc that has none, and one unit flows from corner to corner. Gurobi
    without a licence refuses the largest maps. OR-tools and highspy bring two versions of HiGHS,
    and whichever comes second in a process fails: measure OR-tools with `--only step`.
    """
    dsl = importlib.import_module("pyepo.dsl")
    pointers, heads = grid_arcs(side, side)
    count = side * side
    tails = np.repeat(np.arange(count), np.diff(pointers))
    # Cell v is the arc from node 2v to node 2v + 1.
    entries = np.concatenate([2 * np.arange(count), 2 * tails + 1])
    exits = np.concatenate([2 * np.arange(count) + 1, 2 * heads])
    arcs = np.arange(len(entries))
    flow = np.zeros((2 * count, len(arcs)))
    flow[entries, arcs], flow[exits, arcs] = 1.0, -1.0
    supply = np.zeros(2 * count)
    supply[0], supply[-1] = 1.0, -1.0
    chosen, costs = dsl.Variable(len(arcs), lb=0, ub=1), dsl.Parameter(count)
    problem = dsl.Problem(dsl.Minimize(costs @ chosen[:count]), [flow @ chosen == supply])
    # Gurobi would take all cores; OR-tools' linear solver has but one thread.
    options = {"Threads": 1} if backend == "gurobi" else {}
    model = problem.compile(backend=backend, **options)
    module = importlib.import_module("pyepo.func").blackboxOpt(model, lambd=LAM, processes=1)
    return lambda grid: module(grid.flatten(1))[:, :count].view_as(grid)


def some_maps(side: int) -> MapSplit:
    """A batch of generated maps."""
    return generate(Recipe(side, BATCH, seed=0, split="train"))


def fresh_network(side: int) -> TerrainNet:
    """The same network at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(side)
        return TerrainNet(side)


def standardised(maps: Tensor) -> Tensor:
    """Maps (B, 8k, 8k, 3) uint8 -> images (B, 3, 8k, 8k) of about zero mean and unit deviation."""
    return ((maps.to(torch.float32) - 128.0) / 64.0).permute(0, 3, 1, 2)


def training_step(
    name: str, make: Callable[[], Layer], maps: Tensor, target: Tensor, foreign: bool = False
) -> Implementation:
    """Network, layer, loss, backward, Adam."""

    def prepare(costs: Tensor) -> Call:
        network, layer = fresh_network(costs.shape[-1]), make()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.0, fused=True)

        def step() -> Tensor:
            solution = layer(network(standardised(maps)))
            Hamming.of_each(solution, target).mean().backward()
            optimizer.step()
            optimizer.zero_grad()
            return solution.detach()

        return step

    return Implementation(name, prepare, foreign=foreign)


def step_case(side: int) -> Case:
    """Steps with several solvers; the second row's ratio is our layer's share of a step."""
    data = some_maps(side)
    maps, target = torch.from_numpy(data.maps[0]), torch.from_numpy(data.paths[0]).float()
    costs = fresh_network(side)(standardised(maps)).detach()
    solution = our_layer()(costs)
    upstream = (solution - target).sign() / len(target)
    foreign = {
        f"PyEPO, {name}": partial(pyepo_layer, side, backend)
        for name, backend in (("Gurobi", "gurobi"), ("OR-tools", "ortools"))
    }
    return Case(
        "step of training, Warcraft",
        side,
        costs,
        (
            training_step("combgrad", our_layer, maps, target),
            forward_backward("combgrad, the layer alone", our_layer, upstream),
            training_step("heapq", heapq_layer, maps, target),
            *(training_step(n, make, maps, target, foreign=True) for n, make in foreign.items()),
        ),
    )


def network_pass(
    name: str, memory: torch.memory_format, half: bool = False, compiled: bool = False
) -> Implementation:
    """The network forward and backward."""

    def prepare(maps: Tensor) -> Call:
        network = fresh_network(maps.shape[1] // PIXELS)
        network.to(memory_format=memory)  # type: ignore[call-overload]
        if compiled:
            network.compile()

        def call() -> Tensor:
            images = standardised(maps).contiguous(memory_format=memory)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                costs: Tensor = network(images)
            costs.sum().backward()
            return costs.detach()

        return call

    # Not every machine has the compiler that torch.compile needs.
    return Implementation(name, prepare, foreign=compiled)


def network_case(side: int) -> Case:
    """The network, in formats of memory, precisions, and compiled."""
    plain, last = torch.contiguous_format, torch.channels_last
    return Case(
        "network of Warcraft",
        side,
        torch.from_numpy(some_maps(side).maps[0]),
        (
            network_pass("contiguous", plain),
            network_pass("channels_last (ours)", last),
            network_pass("channels_last, compiled", last, compiled=True),
            network_pass("channels_last, bfloat16 (trainer=bf16)", last, half=True),
        ),
        random=True,
    )


def step_plans(threads: int) -> list[Plan]:
    """All cases, at one thread."""
    del threads
    return [
        Plan(f"{name} {side}", partial(build, side))
        for name, build in (("step", step_case), ("network", network_case))
        for side in SIZES
    ]
