"""Everything public is there after `import combgrad`, and every part shows its parameters."""

import copy
import inspect
import pickle
import subprocess
import sys

import pytest
import torch

import combgrad
from combgrad import margins, projections, solvers
from combgrad.gradients import Blackbox, GradientNoise, Perturbed
from combgrad.solvers import TSP, Cached, Knapsack, TopK, from_function
from parts import build, complete

PARTS = {
    f"{group}-{option}": build(group, option)
    for group in ("solver", "grad", "proj", "loss")
    for option in complete(group)
    if option != "none"
} | {
    "margin-noise": margins.NoiseMargin(0.1, "uniform", 0.5, "after"),
    "margin-informed": margins.InformedMargin(0.2),
    "gradient-noise": GradientNoise(0.5),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=list(PARTS))
def test_every_part_shows_the_parameters_that_have_no_default(part):
    words = repr(part)
    assert words.startswith(f"{type(part).__name__}(")
    assert words.endswith(")")
    assert "\n" not in words
    assert " at 0x" not in words
    for name, parameter in inspect.signature(type(part).__init__).parameters.items():
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            assert name in ("self", "kwargs") or f"{name}=" in words


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (TopK(3), "TopK(k=3)"),
        (TopK(3, threads=2), "TopK(k=3, threads=2)"),
        (TSP(), "TSP()"),
        (Knapsack([1, 2], capacity=4), "Knapsack(weights=[1, 2], capacity=4)"),
        (Knapsack(range(1, 90), 4), "Knapsack(weights=[1, 2, 3, 4, 5, 6, ...], capacity=4)"),
        (Cached(TopK(2), 5), "Cached(solver=TopK(k=2), size=5)"),
        (from_function(torch.sign), "FunctionSolver(f=sign)"),
        (
            from_function(sum, set(solvers.Trait), 2, batched=["b", "a"]),
            "FunctionSolver(f=sum, traits=[SCALE_INVARIANT, SHIFT_INVARIANT, SUBSET_VALUED], "
            "processes=2, batched=['a', 'b'])",
        ),
        (Blackbox(20), "Blackbox(lam=20.0)"),
        (
            Perturbed(0.5, 4, "multiplicative", variance_reduction="none"),
            "Perturbed(sigma=0.5, samples=4, noise='multiplicative', variance_reduction='none')",
        ),
        (projections.Std(), "Std()"),
        (projections.Plane(torch.ones(2, 3)), "Plane(a=Tensor(2, 3))"),
        (margins.NoiseMargin(0.1), "NoiseMargin(alpha=0.1)"),
        (
            PARTS["margin-noise"],
            "NoiseMargin(alpha=0.1, distribution='uniform', until=0.5, position='after')",
        ),
        (GradientNoise(0.5), "GradientNoise(sigma=0.5)"),
    ],
    ids=repr,
)
def test_a_part_shows_what_differs_from_the_defaults(part, words):
    assert repr(part) == words
    assert repr(copy.deepcopy(part)) == words
    assert repr(pickle.loads(pickle.dumps(part))) == words


def test_a_part_shows_its_parameters_as_they_are_now():
    solver = TopK(3)
    solver.k = 4
    assert repr(solver) == "TopK(k=4)"


def test_a_solver_of_ones_own_needs_nothing_for_it():
    class Mine(solvers.Solver):
        def __init__(self, budget, *, strict=True):
            self.budget = budget

        def _solve(self, costs):
            return costs

    assert repr(Mine(3)) == "Mine(budget=3)"
    assert repr(Mine(3, strict=False)) == "Mine(budget=3, strict=False)"
    with pytest.raises(TypeError, match="budget"):
        Mine()


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_every_public_name_is_there_after_import_combgrad():
    for name in combgrad.__all__:
        assert getattr(combgrad, name) is not None
        assert name in dir(combgrad)
    run("import combgrad; combgrad.metrics.edge_accuracy")
    run("import combgrad; combgrad.losses.Hamming; combgrad.sampling.Gumbel")


def test_all_rooms_of_the_library_are_public():
    assert {"errors", "gradients", "losses", "margins", "metrics", "sampling"} <= {
        *combgrad.__all__
    }
    assert {"projections", "solvers", "CombinatorialLayer"} <= {*combgrad.__all__}
    with pytest.raises(AttributeError, match="no attribute 'tsp'"):
        _ = combgrad.tsp


def test_importing_the_package_alone_loads_no_torch():
    run("import sys, combgrad; assert 'torch' not in sys.modules")
    run("from combgrad import *; assert solvers.TopK(k=1) and CombinatorialLayer and losses")
