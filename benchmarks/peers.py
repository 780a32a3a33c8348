"""Other packages for the same job, where they are installed: forward and backward, like ours."""

import importlib
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case, Implementation, Plan, forward_backward, function, layer
from benchmarks.grid_cases import terrain
from benchmarks.matching_cases import alignment_case
from benchmarks.order_cases import K, scores
from benchmarks.references import torch_topk
from benchmarks.tsp_cases import LAM, hamming_slope, noisy
from combgrad.gradients import Blackbox, GradientMethod, Identity
from combgrad.solvers import TSP, Alignment, GraphShortestPath, Ranking, ShortestPath, TopK
from combgrad.solvers.alignment import moves_of
from combgrad.solvers.edges import edges_to_matrix, matrix_to_edges

CITIES = 20
SIDE = 12

#: What each peer is imported as.
MODULES = {
    "PyEPO": "pyepo.func",
    "torch-imle": "imle.wrapper",
    "blackbox-backprop": "blackbox_backprop",
    "cvxpylayers": "cvxpylayers.torch",
}


def load() -> tuple[dict[str, ModuleType], list[str]]:
    """The modules of the peers that can be imported, and a note for each of the others."""
    modules: dict[str, ModuleType] = {}
    notes = []
    for peer, name in MODULES.items():
        try:
            modules[peer] = importlib.import_module(name)
        except ImportError as error:
            notes.append(f"peer {peer}: not installed ({error})")
    return modules, notes


def named(module: ModuleType, *names: str) -> Any:
    """The first attribute there is; names changed between versions of a peer."""
    for name in names:
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"{module.__name__} has none of {', '.join(names)}")


def pyepo_tsp(functions: ModuleType, method: str) -> Callable[[Tensor], Tensor]:
    """PyEPO's module for the TSP of `CITIES` cities, in our edge coordinates."""
    models = importlib.import_module("pyepo.model.grb")
    model = named(models, "tspDFJModel")(CITIES)
    # Our Gurobi uses one thread, and on these sizes more would only slow PyEPO's down.
    model._model.setParam("Threads", 1)
    if method == "blackbox":
        return named(functions, "blackboxOpt")(model, lambd=LAM, processes=1)
    return named(functions, "negativeIdentity", "negativeIdentityOpt")(model, processes=1)


def pyepo_case(functions: ModuleType, method: str, gradient: GradientMethod) -> Case:
    """TSP in the layer, against PyEPO on Gurobi."""
    upstream = hamming_slope(CITIES)
    return Case(
        f"peer PyEPO, tsp {method}",
        CITIES,
        noisy(CITIES),
        (
            forward_backward(
                "PyEPO", partial(pyepo_tsp, functions, method), upstream, foreign=True
            ),
            layer("combgrad", TSP, gradient, upstream),
        ),
    )


def pyepo_path_case(functions: ModuleType) -> Case:
    """Shortest paths over arc costs to the right and down, which is what PyEPO's grids are."""
    model = importlib.import_module("pyepo.model.grb").shortestPathModel((SIDE, SIDE))
    model._model.setParam("Threads", 1)
    random = torch.Generator().manual_seed(SIDE)
    costs = torch.rand(70, len(model.arcs), generator=random) + 0.1
    upstream = torch.randn(costs.shape, generator=random) / len(costs)
    solver = partial(
        GraphShortestPath, model.arcs, SIDE**2, 0, SIDE**2 - 1, directed=True, negative="clamp"
    )
    return Case(
        "peer PyEPO, shortest_path over arcs blackbox",
        SIDE,
        costs,
        (
            forward_backward(
                "PyEPO",
                lambda: named(functions, "blackboxOpt")(model, lambd=LAM, processes=1),
                upstream,
                foreign=True,
            ),
            layer("combgrad", solver, Blackbox(LAM), upstream),
        ),
    )


def path_slope() -> Tensor:
    """dL/dy of the mean Hamming loss against the paths of other terrain."""
    costs = terrain(SIDE)
    return (1 - 2 * ShortestPath()(costs.flip(0))) / len(costs)


def backprop_path_case(module: ModuleType) -> Case:
    """Shortest paths in the layer, against blackbox-backprop."""
    upstream = path_slope()
    return Case(
        "peer blackbox-backprop, shortest_path blackbox",
        SIDE,
        terrain(SIDE),
        (
            forward_backward(
                "blackbox-backprop",
                lambda: lambda costs: module.ShortestPath.apply(costs, LAM),
                upstream,
                foreign=True,
            ),
            layer("combgrad", partial(ShortestPath, negative="clamp"), Blackbox(LAM), upstream),
        ),
    )


def backprop_ranking_case(module: ModuleType) -> Case:
    """Ranking in the layer, against blackbox-backprop, which divides ranks by their number."""
    costs = scores(512, 512)
    upstream = scores(513, 512)[:512] / costs.numel()
    return Case(
        "peer blackbox-backprop, ranking blackbox",
        512,
        costs,
        (
            forward_backward(
                "blackbox-backprop",
                lambda: lambda w: module.TrueRanker.apply(w, LAM),
                upstream,
                foreign=True,
                decode=lambda ranks: (ranks * ranks.shape[1]).round(),
            ),
            layer("combgrad", Ranking, Blackbox(LAM), upstream),
        ),
    )


def backprop_tsp_case(module: ModuleType) -> Case:
    """TSP forward only: the peer's backward pass does not run in its published version."""

    def prepare(costs: Tensor) -> Callable[[], Tensor]:
        return partial(module.TspSolver.apply, edges_to_matrix(costs), LAM)

    return Case(
        "peer blackbox-backprop, tsp forward",
        CITIES,
        noisy(CITIES),
        (
            Implementation("blackbox-backprop", prepare, foreign=True, decode=matrix_to_edges),
            function("combgrad", TSP()),
        ),
    )


def imle_case(module: ModuleType) -> Case:
    """Top-k by I-MLE with one sample and no noise: the work of the blackbox method, lambda 1."""
    costs = scores(128, 512)
    upstream = scores(129, 512)[:128] / len(costs)
    return Case(
        "peer torch-imle, topk without noise",
        512,
        costs,
        (
            forward_backward(
                "torch-imle", lambda: module.imle(partial(torch_topk, k=K)), upstream, foreign=True
            ),
            layer("combgrad", partial(TopK, K), Blackbox(1.0), upstream),
        ),
    )


def flow(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paths through a grid of nodes as A u = b: which moves (E,) there are of (N, M, 3), A, b."""
    moves, tails, heads = moves_of(torch.tensor([rows - 1, columns - 1]), rows, columns)
    balance = np.zeros((rows * columns, len(moves)))
    balance[tails, np.arange(len(moves))] = 1.0
    balance[heads, np.arange(len(moves))] -= 1.0
    surplus = np.zeros(rows * columns)
    surplus[0], surplus[-1] = 1.0, -1.0
    return moves, balance, surplus


def conic_alignment(module: ModuleType, shape: torch.Size) -> Callable[[Tensor], Tensor]:
    """Alignment (B, N, M, 3) as a linear program that cvxpylayers differentiates."""
    cp = importlib.import_module("cvxpy")
    moves, balance, surplus = flow(*shape[1:3])
    costs, path = cp.Parameter(len(moves)), cp.Variable(len(moves))
    # Of the rows one follows from the others.
    rows = [balance[:-1] @ path == surplus[:-1], path >= 0]
    problem = cp.Problem(cp.Minimize(costs @ path), rows)
    solve = module.CvxpyLayer(problem, parameters=[costs], variables=[path])
    place = torch.from_numpy(moves)

    def align(given: Tensor) -> Tensor:
        flat = given.flatten(1)
        (found,) = solve(flat[:, place].double())
        return torch.zeros_like(flat).index_copy(1, place, found.to(flat.dtype)).view(given.shape)

    return align


def conic_case(module: ModuleType) -> Case:
    """Eight alignments of twelve words with what they cost as the loss, against cvxpylayers."""
    whole = alignment_case(12)
    costs = whole.costs[:8]
    return Case(
        "peer cvxpylayers, alignment",
        12,
        costs,
        (
            forward_backward(
                "cvxpylayers",
                partial(conic_alignment, module, costs.shape),
                costs / len(costs),
                foreign=True,
            ),
            layer("combgrad", Alignment, Blackbox(LAM), costs / len(costs)),
        ),
        slack=1e-3,
    )


def peer_plans(threads: int) -> list[Plan]:
    """The cases of the peers that are installed, all at one thread."""
    del threads
    builds: dict[str, list[Callable[[ModuleType], Case]]] = {
        "PyEPO": [
            partial(pyepo_case, method="identity", gradient=Identity()),
            partial(pyepo_case, method="blackbox", gradient=Blackbox(LAM)),
            pyepo_path_case,
        ],
        "torch-imle": [imle_case],
        "cvxpylayers": [conic_case],
        "blackbox-backprop": [backprop_path_case, backprop_ranking_case, backprop_tsp_case],
    }
    modules, _ = load()
    return [
        Plan(f"peer {peer}", partial(build, module))
        for peer, module in modules.items()
        for build in builds[peer]
    ]


def missing_peers() -> list[str]:
    """A note for each peer that cannot be imported."""
    return load()[1]
