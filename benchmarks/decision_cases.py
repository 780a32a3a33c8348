"""Steps of predict-then-optimise beside PyEPO's own: a linear network, a method, backward, Adam.

The same instances, batch and settings for both; the learning rate is 0, so that every step is the
same. Another case of each problem times the solvers alone, on the costs of that step.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.cases import Call, Case, Implementation, Plan, solving
from combgrad.gradients import Blackbox, Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import (
    FenchelYoung,
    Hamming,
    ListwiseRanking,
    Loss,
    NoiseContrastive,
    PerturbationGradient,
    SolutionPool,
    SPOPlus,
)
from combgrad.solvers import TSP, GraphShortestPath, Knapsack, Solver

BATCH, FEATURES = 32, 5
LAM, SIGMA, SAMPLES = 10.0, 0.5, 3


@dataclass(frozen=True)
class Problem:
    """A problem as both packages have it; PyEPO's maximises values v where `sense` is -1.

    Attributes:
        solver: ours, of costs (B, n).
        model: PyEPO's, made from its module of models for Gurobi.
        costs: n.
        sense: what PyEPO's costs are multiplied by to be ours.
    """

    solver: Callable[[], Solver]
    model: Callable[[ModuleType], Any]
    costs: int
    sense: float = 1.0


def grid(side: int) -> Problem:
    """Ways right and down across a grid of nodes, edges row by row, as PyEPO numbers them."""
    edges: list[tuple[int, int]] = []
    for node in range(side * side):
        if node % side < side - 1:
            edges.append((node, node + 1))
        if node % side == side - 1:
            row = node - side + 1
            edges += [(v, v + side) for v in range(row, node + 1) if v + side < side * side]
    solver = partial(GraphShortestPath, edges, side**2, 0, side**2 - 1, directed=True)
    return Problem(
        solver,
        lambda models: models.shortestPathModel((side, side)),
        len(edges),
    )


def knapsack(items: int) -> Problem:
    """Items of 3.00 to 7.99 into a room of 20, as PyEPO's users know them."""
    weights, room = np.random.RandomState(items).choice(range(300, 800), items), 2000
    return Problem(
        partial(Knapsack, weights, room),
        lambda models: models.knapsackModel(weights[None] / 100, [room / 100]),
        items,
        sense=-1.0,
    )


def tour(cities: int) -> Problem:
    """Tours, by PyEPO's model that adds cuts as they are needed."""
    return Problem(TSP, lambda models: models.tspDFJModel(cities), cities * (cities - 1) // 2)


PROBLEMS: Mapping[str, tuple[int, Callable[[int], Problem]]] = {
    "shortest path 5x5": (5, grid),
    "shortest path 12x12": (12, grid),
    "knapsack": (48, knapsack),
    "tsp": (20, tour),
}

#: Of a problem: features (B, 5), costs (B, n) as ours, true solutions (B, n).
Data = tuple[Tensor, Tensor, Tensor]

#: A method's loss of PyEPO's predictions, in its sense.
Step = Callable[[Tensor], Tensor]


def instances(problem: Problem) -> Data:
    """A batch with positive costs, or values, that depend on the features."""
    random = torch.Generator().manual_seed(problem.costs)
    features = torch.randn(BATCH, FEATURES, generator=random)
    hidden = torch.randint(2, (FEATURES, problem.costs), generator=random).float()
    true = ((features @ hidden / FEATURES**0.5 + 3) ** 4 + 1) / 3.5**4
    true = problem.sense * true * (0.5 + torch.rand(true.shape, generator=random))
    return features, true, problem.solver()(true)


def network(problem: Problem) -> nn.Linear:
    """The same linear network at every call, which predicts costs around 1 in PyEPO's sense."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = nn.Linear(FEATURES, problem.costs)
    nn.init.constant_(found.bias, 1.0)
    return found


def training(problem: Problem, data: Data, loss: Step) -> Call:
    """Network, loss, backward, Adam; answers the gradient of the bias, one row."""
    net = network(problem)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.0)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss(net(data[0])).backward()
        optimizer.step()
        assert net.bias.grad is not None
        return net.bias.grad[None]

    return step


def our_loss(problem: Problem, data: Data, loss: Loss, gradient: Any = None) -> Step:
    """One of our losses, of predictions in PyEPO's sense."""
    layer = CombinatorialLayer(problem.solver(), gradient or Identity())
    labels = Labels(data[2], data[1])
    return lambda predicted: loss(layer, problem.sense * predicted, labels).loss


def known(data: Data) -> SolutionPool:
    """A pool of the true solutions, to which every step adds."""
    pool = SolutionPool()
    pool.add(data[2])
    return pool


def ours(problem: Problem, data: Data) -> dict[str, Callable[[], Step]]:
    """The methods, each made anew."""

    def of(make: Callable[[], Loss], gradient: Any = None) -> Callable[[], Step]:
        return lambda: our_loss(problem, data, make(), gradient)

    return {
        "SPO+": of(SPOPlus),
        "perturbed Fenchel-Young": of(lambda: FenchelYoung(SIGMA, SAMPLES)),
        "perturbation gradient": of(lambda: PerturbationGradient(SIGMA)),
        "Blackbox": of(Hamming, Blackbox(LAM)),
        "Identity": of(Hamming, Identity()),
        "noise-contrastive": of(lambda: NoiseContrastive(known(data))),
        "listwise ranking": of(lambda: ListwiseRanking(known(data))),
    }


def gurobi_model(problem: Problem) -> Any:
    """PyEPO's model of a problem, on one thread as all else here."""
    model = problem.model(importlib.import_module("pyepo.model.grb"))
    model._model.setParam("Threads", 1)
    return model


def theirs(problem: Problem, data: Data, func: ModuleType) -> dict[str, Callable[[], Step]]:
    """The same by PyEPO."""
    true, best = problem.sense * data[1], data[2]
    value = (true * best).sum(dim=1, keepdim=True)

    def made(name: str, **options: Any) -> Any:
        return getattr(func, name)(gurobi_model(problem), processes=1, **options)

    def of(name: str, *labels: Tensor, **options: Any) -> Callable[[], Step]:
        def make() -> Step:
            method = made(name, **options)
            return lambda predicted: method(predicted, *labels)

        return make

    def decided(name: str, **options: Any) -> Callable[[], Step]:
        def make() -> Step:
            method = made(name, **options)
            return lambda predicted: Hamming.of_each(method(predicted), best).mean()

        return make

    def pooled(name: str, label: Tensor) -> Callable[[], Step]:
        def make() -> Step:
            dataset = importlib.import_module("pyepo.data.dataset").optDataset
            known = dataset(gurobi_model(problem), data[0].numpy(), true.numpy())
            return of(name, label, dataset=known)()

        return make

    return {
        "SPO+": of("SPOPlus", true, best, value),
        "perturbed Fenchel-Young": of(
            "perturbedFenchelYoung", best, n_samples=SAMPLES, sigma=SIGMA
        ),
        "perturbation gradient": of("perturbationGradient", true, sigma=SIGMA),
        "Blackbox": decided("blackboxOpt", lambd=LAM),
        "Identity": decided("negativeIdentity"),
        "noise-contrastive": pooled("noiseContrastiveEstimation", best),
        "listwise ranking": pooled("listwiseLearningToRank", true),
    }


def step_case(name: str, method: str, func: ModuleType) -> Case:
    """A step of training by one method, PyEPO's first."""
    size, make = PROBLEMS[name]
    problem = make(size)
    data = instances(problem)

    def of(methods: dict[str, Callable[[], Step]]) -> Callable[[Tensor], Call]:
        return lambda costs: training(problem, data, methods[method]())

    return Case(
        f"decisions step, {name}, {method}",
        size,
        data[1],
        (
            Implementation("PyEPO", of(theirs(problem, data, func)), foreign=True),
            Implementation("combgrad", of(ours(problem, data))),
        ),
        random=True,
    )


def solver_case(name: str) -> Case:
    """The solver of a step, on what its network predicts."""
    size, make = PROBLEMS[name]
    problem = make(size)
    with torch.no_grad():
        costs = problem.sense * network(problem)(instances(problem)[0]).clamp_min(0.01)

    def prepare(costs: Tensor) -> Call:
        model = gurobi_model(problem)
        rows = (problem.sense * costs).numpy()

        def solve() -> Tensor:
            found = []
            for row in rows:
                model.setObj(row)
                found.append(np.asarray(model.solve()[0], dtype=np.float32))
            return torch.from_numpy(np.stack(found))

        return solve

    return Case(
        f"decisions solver, {name}",
        size,
        costs,
        (
            Implementation("PyEPO", prepare, foreign=True),
            solving("combgrad", problem.solver),
        ),
        slack=1e-4,  # the tolerance of Gurobi's searches
    )


def decision_plans(threads: int) -> list[Plan]:
    """All cases at one thread; none where PyEPO is not installed."""
    del threads
    try:
        func = importlib.import_module("pyepo.func")
    except ImportError:
        return []
    methods = ours(grid(2), instances(grid(2)))
    return [
        plan
        for name in PROBLEMS
        for plan in (
            Plan(f"decisions {name}", partial(solver_case, name), quick=True),
            *(Plan(f"{name} {m}", partial(step_case, name, m, func)) for m in methods),
        )
    ]
