"""Losses and gradient methods give PyEPO's numbers; docs/coming-from-pyepo.md says what differs.

PyEPO solves with Gurobi, we with our own solvers. Its noise has the axes (B, samples, n), ours
(samples, B, n): with one instance or one sample the same seed draws the same numbers.
"""

import json
import math
from pathlib import Path

import pytest
import torch

from combgrad import CombinatorialLayer, errors, metrics, solvers
from combgrad.gradients import (
    IMLE,
    AdaptiveIMLE,
    Blackbox,
    Identity,
    Perturbed,
    RegularisedFrankWolfe,
)
from combgrad.labels import Labels
from combgrad.losses import (
    ConeAligned,
    ContrastiveMAP,
    FenchelYoung,
    FrankWolfeFenchelYoung,
    ListwiseRanking,
    NoiseContrastive,
    PairwiseRanking,
    PerturbationGradient,
    PointwiseRanking,
    SolutionPool,
    SPOPlus,
)
from combgrad.solvers.normal_cone import normal_cone

SIDE, WEIGHTS, CAPACITY = 4, [3, 4, 2, 6, 5, 1, 7, 3], 12
PROBLEMS = ("path", "knapsack")
SEED = 135
#: (instances, samples) that make the noise of both packages the same.
SHAPES = ((1, 16), (6, 1))


@pytest.fixture(scope="module")
def func():
    return pytest.importorskip("pyepo.func", reason="PyEPO is not installed")


@pytest.fixture(scope="module")
def models(func):
    pytest.importorskip("gurobipy", reason="PyEPO's own models need gurobipy")
    grb = pytest.importorskip("pyepo.model.grb")
    return {
        "path": grb.shortestPathModel((SIDE, SIDE)),
        "knapsack": grb.knapsackModel([WEIGHTS], [CAPACITY]),
    }


def solver_of(problem, model):
    if problem == "knapsack":
        return solvers.Knapsack(WEIGHTS, CAPACITY)
    return solvers.GraphShortestPath(model.arcs, SIDE**2, 0, SIDE**2 - 1, directed=True)


def sign_of(problem):
    """PyEPO maximises values, we minimise costs."""
    return -1.0 if problem == "knapsack" else 1.0


def drawn(rows, model, seed):
    """Values or costs (rows, n), away from 0."""
    random = torch.Generator().manual_seed(seed)
    return 0.5 + torch.rand(rows, model.num_cost, generator=random, dtype=torch.float64)


def seeded():
    return torch.Generator().manual_seed(SEED)


def slope(value, leaf):
    return torch.autograd.grad(value, leaf)[0]


def same(ours, theirs, atol=1e-6):
    assert float(theirs.detach().abs().sum()) > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=atol)


#: Arcs of a 3x3 grid in PyEPO's order.
TAILS, HEADS = (0, 1, 0, 1, 2, 3, 4, 3, 4, 5, 6, 7), (1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 7, 8)
#: True and predicted costs (2, 12), whose cheapest paths have no ties.
TRUE = [
    [1.3, 0.4, 2.1, 0.8, 1.7, 0.6, 0.9, 1.2, 0.5, 1.9, 0.7, 1.1],
    [0.5, 1.6, 0.9, 1.4, 0.3, 2.2, 1.0, 0.7, 1.8, 0.6, 1.5, 0.8],
]
PREDICTED = [
    [0.9, 1.1, 0.6, 1.5, 0.4, 1.2, 1.8, 0.7, 1.3, 0.5, 1.0, 2.0],
    [1.43, 0.82, 1.7, 0.6, 1.9, 0.7, 0.57, 1.31, 0.94, 1.1, 0.45, 1.26],
]
#: What PyEPO 2.2.7 with Gurobi 13.0.3 makes of these two, by its short names: the loss, or the
#: solution, and the gradient; of a solution that of its mean true cost. Noise has sigma 0.7, one
#: sample and seed 135; the step of PG is 0.5, lambda 20 for DBB and 0.5 for the regularised. Pools
#: start with the true solutions. CaVE has up to 200 steps, CaVE+ 3, and the average no projection.
GOLDEN = json.loads((Path(__file__).parent / "pyepo_golden.json").read_text(encoding="utf-8"))

OUR_LOSSES = {
    "SPOPlus": SPOPlus,
    "PG": lambda: PerturbationGradient(0.5),
    "PG two_sides": lambda: PerturbationGradient(0.5, "central"),
    "NCE": NoiseContrastive,
    "CMAP": ContrastiveMAP,
    "ptLTR": PointwiseRanking,
    "prLTR": PairwiseRanking,
    "lsLTR": ListwiseRanking,
    "PFY": lambda: FenchelYoung(0.7, 1, generator=seeded()),
    "PFYMul": lambda: FenchelYoung(0.7, 1, "multiplicative", seeded()),
    "RFY": lambda: FrankWolfeFenchelYoung(0.5),
    "CaVE": lambda: ConeAligned("exact"),
    "CaVE+": lambda: ConeAligned("truncated", steps=3),
    "CaVE average": lambda: ConeAligned(ratio=0.0),
}
OUR_METHODS = {
    "NID": Identity,
    "DBB": lambda: Blackbox(20.0),
    "DPO": lambda: Perturbed(0.7, 1, "additive", "none", seeded()),
    "DPOMul": lambda: Perturbed(0.7, 1, "multiplicative", "none", seeded()),
    "RFWO": lambda: RegularisedFrankWolfe(0.5),
}


def golden_case():
    """The layer's solver, the predicted costs as a leaf, and the true ones."""
    predicted, true = (torch.tensor(rows, dtype=torch.float64) for rows in (PREDICTED, TRUE))
    edges = list(zip(TAILS, HEADS, strict=True))
    solver = solvers.GraphShortestPath(edges, 9, 0, 8, directed=True)
    return solver, predicted.requires_grad_(), true


def test_all_that_was_recorded_is_compared():
    assert set(GOLDEN) == {*OUR_LOSSES, *OUR_METHODS}


@pytest.mark.parametrize("name", OUR_LOSSES)
def test_a_loss_is_the_recorded_one(name):
    if name == "CaVE+":
        pytest.importorskip("clarabel", reason="its steps are Clarabel's")
    solver, predicted, true = golden_case()
    layer = CombinatorialLayer(solver, Identity())
    loss = OUR_LOSSES[name]()(layer, predicted, Labels(solver(true), true)).loss
    same(loss, torch.tensor(GOLDEN[name]["loss"], dtype=torch.float64))
    same(slope(loss, predicted), torch.tensor(GOLDEN[name]["slope"], dtype=torch.float64))


@pytest.mark.parametrize("name", OUR_METHODS)
def test_a_solution_and_its_gradient_are_the_recorded_ones(name):
    solver, predicted, true = golden_case()
    solution = CombinatorialLayer(solver, OUR_METHODS[name]())(predicted)
    same(solution.detach(), torch.tensor(GOLDEN[name]["solution"], dtype=torch.float64))
    found = slope((solution * true).sum(dim=1).mean(), predicted)
    same(found, torch.tensor(GOLDEN[name]["slope"], dtype=torch.float64))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_spo_plus(problem, func, models):
    model, sign = models[problem], sign_of(problem)
    true, predicted = drawn(8, model, 1), drawn(8, model, 2).requires_grad_()
    layer = CombinatorialLayer(solver_of(problem, model), Identity())
    target = layer.solver(sign * true)
    ours = SPOPlus()(layer, sign * predicted, Labels(target, sign * true)).loss
    best = (true * target).sum(dim=1, keepdim=True)
    theirs = func.SPOPlus(model)(predicted, true, target, best)
    same(ours, theirs)
    same(slope(ours, predicted), slope(theirs, predicted))


@pytest.mark.parametrize(("difference", "two_sides"), [("backward", False), ("central", True)])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_perturbation_gradient(problem, difference, two_sides, func, models):
    model, sign = models[problem], sign_of(problem)
    true, predicted = drawn(8, model, 1), drawn(8, model, 2).requires_grad_()
    layer = CombinatorialLayer(solver_of(problem, model), Identity())
    loss = PerturbationGradient(0.6, difference)
    ours = loss(layer, sign * predicted, Labels(true_costs=sign * true)).loss
    theirs = func.PG(model, 0.6, two_sides)(predicted, true)
    same(ours, theirs)
    same(slope(ours, predicted), slope(theirs, predicted))


@pytest.mark.parametrize("solve_ratio", [1.0, 1e-9])
@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("NCE", NoiseContrastive),
        ("CMAP", ContrastiveMAP),
        ("ptLTR", PointwiseRanking),
        ("prLTR", PairwiseRanking),
        ("lsLTR", ListwiseRanking),
    ],
)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_losses_over_a_pool(problem, name, loss, solve_ratio, func, models):
    """Both pools start with true solutions; with the ratio next to 0 they stay as they are."""
    data = pytest.importorskip("pyepo.data.dataset")
    model, sign = models[problem], sign_of(problem)
    true, predicted = drawn(8, model, 1), drawn(8, model, 2).requires_grad_()
    layer = CombinatorialLayer(solver_of(problem, model), Identity())
    target = layer.solver(sign * true)
    known = data.optDataset(model, torch.zeros(8, 1).numpy(), true.numpy())
    module = getattr(func, name)(model, solve_ratio=solve_ratio, dataset=known)
    pool = SolutionPool(solve_ratio)
    pool.add(target)
    ours = loss(pool)(layer, sign * predicted, Labels(target, sign * true)).loss
    theirs = module(predicted, target if name in ("NCE", "CMAP") else true)
    assert len(pool) == len(module.solpool)
    same(ours, theirs)
    same(slope(ours, predicted), slope(theirs, predicted))


#: Our arguments of CaVE and PyEPO's, for the same loss.
AIMS = (
    ({"aim": "exact"}, {"max_iter": 200}),
    ({"aim": "truncated"}, {}),
    ({"aim": "truncated", "steps": 5}, {"max_iter": 5}),
    ({"ratio": 0.0, "inner": 0.4}, {"solve_ratio": 0.0, "inner_ratio": 0.4}),
)


def cones(model, true):
    """PyEPO's normals (B, m, n) of what binds at the solutions of true costs (B, n)."""
    data = pytest.importorskip("pyepo.data.dataset")
    known = data.optDatasetConstrs(model, torch.zeros(len(true), 1).numpy(), true.numpy())
    rows = data.collate_tight_constraints([known[i] for i in range(len(true))])
    return rows[2].double(), rows[-1].double()


@pytest.mark.parametrize(("ours", "theirs"), AIMS)
@pytest.mark.parametrize("problem", [*PROBLEMS, "tour"])
def test_cone_aligned(problem, ours, theirs, func, models):
    """Of five cities, which have no subtours. A knapsack's rows are scaled, which steps see."""
    if problem == "knapsack" and ours.get("aim") == "truncated":
        pytest.skip("the steps towards a projection depend on the size of its normals")
    if problem == "tour":
        model, solver = pytest.importorskip("pyepo.model.grb").tspDFJModel(5), solvers.TSP()
    else:
        model, solver = models[problem], solver_of(problem, models[problem])
    sign = sign_of(problem)
    true, predicted = drawn(6, model, 1), drawn(6, model, 2).requires_grad_()
    target, normals = cones(model, true)
    layer = CombinatorialLayer(solver, Identity())
    loss = ConeAligned(**ours)(layer, sign * predicted, Labels(target)).loss
    known = func.CaVE(model, **theirs)(predicted, normals)
    same(loss, known, 1e-5)
    same(slope(loss, predicted), slope(known, predicted), 1e-5)


def test_the_cone_of_a_tour_has_what_pyepos_has(models):
    """Its subtours are those that Gurobi came across, ours all that the tour uses up."""
    model = pytest.importorskip("pyepo.model.grb").tspDFJModel(9)
    target, normals = cones(model, drawn(6, model, 1))
    solver = solvers.TSP()
    program = solver.relaxation(target.shape[1:])
    for tour, rows in zip(target.numpy(), normals.numpy(), strict=True):
        cone = normal_cone(program, tour, solver.cuts(tour), tour == tour)
        for row in rows[abs(rows).any(axis=1)]:
            assert cone.nearest(row) == pytest.approx(row, abs=1e-6)


# Additive noise of values is minus that of costs: alike on average, but no number to compare.
@pytest.mark.parametrize(("rows", "samples"), SHAPES)
@pytest.mark.parametrize(
    ("problem", "kind", "name"),
    [
        ("path", "additive", "perturbedFenchelYoung"),
        ("path", "multiplicative", "perturbedFenchelYoungMul"),
        ("knapsack", "multiplicative", "perturbedFenchelYoungMul"),
    ],
)
def test_fenchel_young(problem, kind, name, rows, samples, func, models):
    model, sign = models[problem], sign_of(problem)
    predicted = drawn(rows, model, 2).requires_grad_()
    layer = CombinatorialLayer(solver_of(problem, model), Identity())
    target = layer.solver(sign * drawn(rows, model, 1))
    loss = FenchelYoung(0.7, samples, kind, seeded())
    ours = loss(layer, sign * predicted, Labels(target)).loss
    theirs = getattr(func, name)(model, samples, 0.7, seed=SEED)(predicted, target)
    same(ours, theirs)
    same(slope(ours, predicted), slope(theirs, predicted))


def both(method, module, problem, model, rows):
    """Solution and gradient of our layer and of PyEPO's module, for the same upstream gradient."""
    sign, found = sign_of(problem), []
    upstream = drawn(rows, model, 3) - 1
    layer = CombinatorialLayer(solver_of(problem, model), method)
    for call, turn in ((layer, sign), (module, 1.0)):
        predicted = drawn(rows, model, 2).requires_grad_()
        solution = call(turn * predicted)
        found.append((solution.detach(), slope((solution * upstream).sum(), predicted)))
    return found


@pytest.mark.parametrize("problem", PROBLEMS)
def test_negative_identity(problem, func, models):
    model = models[problem]
    ours, theirs = both(Identity(), func.negativeIdentity(model), problem, model, 6)
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])


@pytest.mark.parametrize("lam", [0.5, 10.0])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_blackbox(problem, lam, func, models):
    model = models[problem]
    ours, theirs = both(Blackbox(lam), func.blackboxOpt(model, lambd=lam), problem, model, 6)
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])


@pytest.mark.parametrize(
    ("kind", "name"), [("additive", "perturbedOpt"), ("multiplicative", "perturbedOptMul")]
)
@pytest.mark.parametrize(
    ("reduction", "rows", "samples"),
    [("leave_one_out", 1, 16), *(("none", *shape) for shape in SHAPES)],
)
def test_perturbed(reduction, rows, samples, kind, name, func, models):
    model = models["path"]
    method = Perturbed(0.5, samples, kind, reduction, seeded())
    baseline = reduction == "leave_one_out"
    module = getattr(func, name)(model, samples, 0.5, seed=SEED, variance_reduction=baseline)
    ours, theirs = both(method, module, "path", model, rows)
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])


@pytest.mark.parametrize("lam", [0.3, 2.0])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_regularised_frank_wolfe(problem, lam, func, models):
    """PyEPO ends where the square of its error is known to be below `tol`."""
    model, sign = models[problem], sign_of(problem)
    module = func.RFWO(model, lambd=lam, tol=1e-11)
    ours, theirs = both(RegularisedFrankWolfe(lam, tol=1e-12), module, problem, model, 6)
    same(ours[0], theirs[0], 1e-5)
    same(ours[1], theirs[1], 1e-5)
    predicted = drawn(6, model, 2).requires_grad_()
    layer = CombinatorialLayer(solver_of(problem, model), Identity())
    target = layer.solver(sign * drawn(6, model, 1))
    loss = FrankWolfeFenchelYoung(lam, tol=1e-12)(layer, sign * predicted, Labels(target)).loss
    known = func.RFY(model, lambd=lam, tol=1e-11)(predicted, target)
    same(loss, known, 1e-5)
    same(slope(loss, predicted), slope(known, predicted), 1e-5)


class Fixed:
    """One noise, which is not symmetric, for both packages, up to its axes and its sign."""

    def __init__(self, sign, model, rows, samples):
        random = torch.Generator().manual_seed(SEED)
        shape = (samples, rows, model.num_cost)
        self.noise = sign * torch.randn(shape, generator=random, dtype=torch.float64).exp()

    def sample(self, shape=None, dtype=None, device=None, size=None):
        del dtype, device
        noise = self.noise if size is None else self.noise.transpose(0, 1)
        assert tuple(noise.shape) == tuple(size or shape)
        return noise


def test_imle_has_the_opposite_noise(func, models):
    """Ours is the argmin form of argmax <theta + eps, y>, y(w - eps); PyEPO's is y(w + eps)."""
    model = models["path"]
    ours, theirs = both(
        IMLE(3.0, Fixed(-1, model, 6, 5), 5),
        func.implicitMLE(model, 5, 1.0, 3.0, Fixed(1, model, 6, 5)),
        "path",
        model,
        6,
    )
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])


@pytest.mark.parametrize("two_sides", [False, True])
def test_adaptive_imle_starts_alike(two_sides, func, models):
    """The first gradient agrees; the rule by which alpha moves does not, see the page."""
    model = models["path"]
    module = func.adaptiveImplicitMLE(model, 5, 1.0, Fixed(1, model, 6, 5), two_sides)
    method = AdaptiveIMLE(Fixed(-1, model, 6, 5), 5, step=module.step, symmetric=two_sides)
    ours, theirs = both(method, module, "path", model, 6)
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])
    assert math.isclose(module.alpha, 1 + module.step)
    assert math.isclose(method.alpha, 1 - module.step)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_regret(problem, func, models):
    metric, model, sign = pytest.importorskip("pyepo.metric"), models[problem], sign_of(problem)
    solver = solver_of(problem, model)
    true = drawn(12, model, 1)
    predicted = (3 * drawn(12, model, 2)).round()  # with ties
    target = solver(sign * true)
    best = (true * target).sum(dim=1)
    rows = list(zip(predicted.numpy(), true.numpy(), best.tolist(), strict=True))
    worst = [metric.calUnambRegret(model, *row) for row in rows]
    ours = metrics.unambiguous_regret(solver, sign * predicted, target, sign * true)
    assert ours.tolist() == pytest.approx(worst)
    plain = metrics.regret(solver(sign * true.flip(0)), target, sign * true)
    flipped = zip(true.flip(0).numpy(), true.numpy(), best.tolist(), strict=True)
    assert plain.tolist() == pytest.approx([metric.calRegret(model, *row) for row in flipped])
    ratio = metrics.normalised_regret(solver(sign * true.flip(0)), target, sign * true)
    whole = metric.SPOError(true.flip(0).numpy(), true.numpy(), model)
    assert float(ratio) == pytest.approx(whole)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_model_is_a_solver(problem, func, models):
    model, sign = models[problem], sign_of(problem)
    solver, costs = solvers.from_pyepo(model), sign * drawn(5, model, 4)
    assert torch.equal(solver(costs), solver_of(problem, model)(costs))
    assert repr(solver).startswith("FunctionSolver(f=")
    with pytest.raises(errors.SolverFailedError, match=f"{type(model).__name__}"):
        solver(costs[:, :3])


@pytest.mark.parametrize("backend", ["gurobi", "ortools"])
def test_a_model_of_its_language_is_a_solver(func, backend):
    dsl, epo = pytest.importorskip("pyepo.dsl"), pytest.importorskip("pyepo").EPO
    costs = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    for make, sign in ((dsl.Minimize, 1), (dsl.Maximize, -1)):
        chosen = dsl.Variable(6, vtype=epo.BINARY)
        three = torch.ones(1, 6).numpy() @ chosen == 3
        model = dsl.Problem(make(dsl.Parameter(6) @ chosen), [three]).compile(backend=backend)
        solver = solvers.from_pyepo(model)
        assert torch.equal(solver(sign * costs), solvers.TopK(3)(sign * costs))


def test_every_method_of_pyepo_has_a_row(func):
    page = (Path(__file__).parents[2] / "docs" / "coming-from-pyepo.md").read_text(encoding="utf-8")
    classes = {getattr(func, name) for name in func.__all__}
    assert len(classes) >= 17
    assert [found.__name__ for found in classes if f"`{found.__name__}`" not in page] == []
