"""The decision problems and the methods of `table=pto`, as PyEPO has them."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.knapsacks import Knapsacks
from combgrad.data.decisions.polynomial import Polynomial, ShortestPaths
from combgrad.data.decisions.portfolios import Portfolios
from combgrad.data.decisions.tours import Tours
from combgrad.solvers import Solver

#: A loss of PyEPO's predictions (B, n) in its sense, given true costs, solutions and objectives.
Judge = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    """Instances as PyEPO draws them, and who solves them there.

    Attributes:
        features: (N, p), those of training, validation and test one after another.
        costs: (N, n), or values where `sense` is -1.
        model: an optModel.
        sense: what PyEPO's costs are multiplied by to be ours.
    """

    features: np.ndarray
    costs: np.ndarray
    model: Any
    sense: float


def exact_model(solver: Solver, costs: int, sense: float) -> Any:
    """An optModel of an algorithm of one's own, which here is one of our solvers.

    PyEPO asks a model of that kind for one instance after another. So that its loops are not what
    is waited for, this one is asked for all of a batch; nothing else of PyEPO is touched.
    """
    base = importlib.import_module("pyepo.model.opt").optModel
    senses = importlib.import_module("pyepo.EPO")
    utils: Any = importlib.import_module("pyepo.func.utils")

    class Exact(base):  # type: ignore[misc, valid-type]
        def _getModel(self) -> tuple[None, range]:
            self.modelSense = senses.MINIMIZE if sense > 0 else senses.MAXIMIZE
            return None, range(costs)

        def setObj(self, c: Any) -> None:
            self.objective = np.asarray(c)

        def solve(self) -> tuple[np.ndarray, float]:
            found, values = self.solve_all(self.objective[None])
            return found[0], float(values[0])

        def solve_all(self, objectives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            asked = torch.as_tensor(objectives)
            found = solver(sense * asked).to(asked)
            return found.numpy(), (found * asked).sum(dim=1).numpy()

    one_by_one = utils._solve_batch_np

    def at_once(objectives: Any, model: Any, *others: Any) -> Any:
        if isinstance(model, Exact):
            return model.solve_all(objectives)
        return one_by_one(objectives, model, *others)

    utils._solve_batch_np = at_once
    return Exact()


def problem_of(data: Decisions, own: bool) -> Problem:
    """The instances of a data module, drawn by PyEPO; `own` takes its model, which needs OR-Tools.

    Raises ValueError for a set that it has no generator, or no free model of.
    """
    which, drawn = data.collection, importlib.import_module("pyepo.data")
    models = importlib.import_module("pyepo.model")
    if not isinstance(which, Polynomial):
        raise ValueError(f"PyEPO draws no {type(which).__name__}.")
    count = data.train_size + 2 * data.eval_size
    named: dict[str, Any] = {"deg": which.deg, "seed": which.draw_seed}
    model, sense = None, 1.0
    if isinstance(which, ShortestPaths):
        grid = tuple(which.grid)
        named["noise_width"] = which.noise_width
        found = drawn.shortestpath.genData(count, which.features, grid, **named)
        if own:
            model = models.shortestPathModel(grid, backend="ortools", solver="glop")
    elif isinstance(which, Knapsacks):
        size, named["noise_width"], sense = (which.items, which.dimensions), which.noise_width, -1.0
        weights, *found = drawn.knapsack.genData(count, which.features, *size, **named)
        if own:
            model = models.knapsackModel(weights, which.capacity, backend="ortools", solver="sat")
    elif isinstance(which, Tours):
        named["noise_width"] = which.noise_width
        found = drawn.tsp.genData(count, which.features, which.cities, **named)
    elif isinstance(which, Portfolios):
        named["noise_level"], sense = which.noise_level, -1.0
        _, *found = drawn.portfolio.genData(count, which.features, which.assets, **named)
    if own and model is None:
        raise ValueError(f"PyEPO has no model of {type(which).__name__} for OR-Tools.")
    features, costs = found
    if model is None:
        model = exact_model(which.solver(), costs.shape[1], sense)
    return Problem(features, costs, model, sense)


@dataclass(frozen=True)
class Method:
    """A method under both names.

    Attributes:
        words: what chooses it here.
        make: PyEPO's, of its module of methods, an optModel, the training set and a seed of noise.
    """

    words: tuple[str, ...]
    make: Callable[[Any, Any, Any, int], Judge]


def of_solution(name: str, **options: Any) -> Callable[[Any, Any, Any, int], Judge]:
    """A loss of predictions and true solutions."""

    def make(func: Any, model: Any, dataset: Any, noise: int) -> Judge:
        del dataset
        loss = getattr(func, name)(model, seed=noise, **options)
        return lambda predicted, costs, best, value: loss(predicted, best)

    return make


def of_pool(name: str, takes: str) -> Callable[[Any, Any, Any, int], Judge]:
    """A loss over a pool, which takes true `solutions` or `costs` beside the predictions."""

    def make(func: Any, model: Any, dataset: Any, noise: int) -> Judge:
        del noise
        loss = getattr(func, name)(model, dataset=dataset)
        if takes == "solutions":
            return lambda predicted, costs, best, value: loss(predicted, best)
        return lambda predicted, costs, best, value: loss(predicted, costs)

    return make


def through(
    name: str, absolute: bool = False, seeded: bool = False, **options: Any
) -> Callable[[Any, Any, Any, int], Judge]:
    """The regret of a layer's decisions; `absolute` is the L1 loss of PyEPO's notebooks.

    They are the same number. But where the decision is the best one, |0| has the derivative 0,
    and the regret that of all other decisions.
    """

    def make(func: Any, model: Any, dataset: Any, noise: int) -> Judge:
        del dataset
        layer = getattr(func, name)(model, **options, **({"seed": noise} if seeded else {}))
        sense = float(model.modelSense)

        def loss(predicted: Tensor, costs: Tensor, best: Tensor, value: Tensor) -> Tensor:
            spent = (layer(predicted) * costs).sum(dim=1, keepdim=True)
            return l1_loss(spent, value) if absolute else sense * (spent - value).mean()

        return loss

    return make


def two_stages(func: Any, model: Any, dataset: Any, noise: int) -> Judge:
    """Regression of the costs."""
    del func, model, dataset, noise
    return lambda predicted, costs, best, value: mse_loss(predicted, costs)


def spo_plus(func: Any, model: Any, dataset: Any, noise: int) -> Judge:
    """SPO+, the only one that takes all there is."""
    del dataset, noise
    return func.SPOPlus(model)


def perturbation_gradient(func: Any, model: Any, dataset: Any, noise: int) -> Judge:
    """The perturbation gradient with the step of `loss=perturbation_gradient`."""
    del dataset, noise
    loss = func.perturbationGradient(model, sigma=1.0)
    return lambda predicted, costs, best, value: loss(predicted, costs)


#: So little that float32 costs take no part of it, or one rounding where they are near 0: PyEPO has
#: no I-MLE without noise, as grad=imle is here.
NO_NOISE = 1e-12

#: With the settings of our YAMLs.
METHODS: Mapping[str, Method] = {
    "two stages": Method(("loss=cost_mse",), two_stages),
    "SPO+": Method(("loss=spo_plus",), spo_plus),
    "Fenchel-Young": Method(
        ("loss=fenchel_young",), of_solution("perturbedFenchelYoung", n_samples=10, sigma=0.5)
    ),
    "Fenchel-Young, multiplicative": Method(
        ("loss=fenchel_young", "loss.noise=multiplicative"),
        of_solution("perturbedFenchelYoungMul", n_samples=10, sigma=0.5),
    ),
    "perturbation gradient": Method(("loss=perturbation_gradient",), perturbation_gradient),
    "noise-contrastive": Method(
        ("loss=noise_contrastive",), of_pool("noiseContrastiveEstimation", "solutions")
    ),
    "contrastive MAP": Method(("loss=contrastive_map",), of_pool("contrastiveMAP", "solutions")),
    "pointwise ranking": Method(
        ("loss=pointwise_ranking",), of_pool("pointwiseLearningToRank", "costs")
    ),
    "pairwise ranking": Method(
        ("loss=pairwise_ranking",), of_pool("pairwiseLearningToRank", "costs")
    ),
    "listwise ranking": Method(
        ("loss=listwise_ranking",), of_pool("listwiseLearningToRank", "costs")
    ),
    "regret by Identity": Method(("loss=regret", "grad=identity"), through("negativeIdentity")),
    "|regret| by Identity": Method(
        ("loss=regret", "grad=identity"), through("negativeIdentity", absolute=True)
    ),
    "regret by Blackbox": Method(
        ("loss=regret", "grad=blackbox"), through("blackboxOpt", lambd=20.0)
    ),
    "|regret| by Blackbox": Method(
        ("loss=regret", "grad=blackbox"), through("blackboxOpt", absolute=True, lambd=20.0)
    ),
    "regret by perturbed": Method(
        ("loss=regret", "grad=perturbed"),
        through("perturbedOpt", seeded=True, n_samples=10, sigma=0.1),
    ),
    "regret by I-MLE": Method(
        ("loss=regret", "grad=imle"),
        through("implicitMLE", n_samples=1, sigma=NO_NOISE, lambd=20.0),
    ),
    "regret by adaptive I-MLE": Method(
        ("loss=regret", "grad=adaptive_imle"),
        through("adaptiveImplicitMLE", n_samples=1, sigma=NO_NOISE),
    ),
}
