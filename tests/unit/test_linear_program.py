"""The value of linear programs: vertices, finite differences, and cvxpylayers where it is there."""

import itertools

import numpy as np
import pytest
import scipy
import torch

from combgrad.errors import (
    InfeasibleError,
    NoPricesError,
    SolverInputError,
    UnboundedError,
)
from combgrad.losses import linear_program_value
from combgrad.solvers import Assignment

STEP = 1e-6


def random(*shape, seed=0):
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def a_program(seed):
    """Three rows, of which one is an equation, and four variables with bounds; all (B, ...)."""
    matrix = random(2, 3, 4, seed=seed) + 0.1
    inside = 0.2 + 0.6 * random(2, 4, seed=seed + 1)
    rows = (matrix @ inside[:, :, None]).squeeze(2)
    return {
        "costs": random(2, 4, seed=seed + 2) - 0.5,
        "A_ub": matrix[:, :2],
        "b_ub": rows[:, :2] + 0.1,
        "A_eq": matrix[:, 2:],
        "b_eq": rows[:, 2:],
        "least": 0.1 * random(2, 4, seed=seed + 3),
        "most": 1 + random(2, 4, seed=seed + 4),
    }


def value_of(parts):
    named = {name: part for name, part in parts.items() if name not in ("least", "most")}
    return linear_program_value(**named, bounds=(parts["least"], parts["most"]))


def best_vertex(costs, A_ub, b_ub, A_eq, b_eq, least, most):
    """The least cost of all points where as many inequalities as it takes hold with equality."""
    n, eye, best = len(costs), np.eye(len(costs)), np.inf
    sides = ((A_ub, b_ub), (-eye, -least), (eye, most))
    inequalities = [pair for rows, side in sides for pair in zip(rows, side, strict=True)]
    for chosen in itertools.combinations(inequalities, n - len(A_eq)):
        matrix = np.array([*A_eq, *(row for row, _ in chosen)])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        point = np.linalg.solve(matrix, [*b_eq, *(side for _, side in chosen)])
        if all(row @ point <= side + 1e-9 for row, side in inequalities):
            best = min(best, costs @ point)
    return best


@pytest.mark.parametrize("seed", range(0, 50, 10))
def test_the_value_is_that_of_the_best_vertex(seed):
    parts = a_program(seed)
    found = value_of(parts)
    for row in range(2):
        alone = {name: part[row].numpy() for name, part in parts.items()}
        assert float(found[row]) == pytest.approx(best_vertex(**alone), abs=1e-9)


@pytest.mark.parametrize("seed", range(0, 50, 10))
def test_differences_are_the_gradient_by_costs_rows_sides_and_bounds(seed):
    parts = {name: part.requires_grad_() for name, part in a_program(seed).items()}
    weights = torch.tensor([0.7, -1.3], dtype=torch.float64)
    gradients = torch.autograd.grad((value_of(parts) * weights).sum(), list(parts.values()))
    moved_somewhere = set()
    for (name, part), gradient in zip(parts.items(), gradients, strict=True):
        for place in range(part.numel()):
            sides = []
            for sign in (1, -1):
                other = part.detach().clone()
                other.view(-1)[place] += sign * STEP
                known = {key: value.detach() for key, value in parts.items()} | {name: other}
                sides.append(float((value_of(known) * weights).sum()))
            expected = (sides[0] - sides[1]) / (2 * STEP)
            assert float(gradient.reshape(-1)[place]) == pytest.approx(expected, abs=1e-6), name
            moved_somewhere |= {name} if abs(expected) > 1e-3 else set()
    assert {"costs", "A_eq", "b_eq"} <= moved_somewhere


@pytest.mark.parametrize("name", ["costs", "A_eq", "b_eq"])
def test_a_transform_of_torch_func_is_refused(name):
    parts = a_program(0)
    with pytest.raises(SolverInputError, match=r"value: its tensors are inside .*autograd.grad"):
        torch.func.grad(lambda part: value_of(parts | {name: part}).sum())(parts[name])


def test_the_formulas_of_the_paper():
    """dz/dc = u, dz/db = v, dz/dA = -v u^T, where c = A^T v on the rows that hold."""
    costs = torch.tensor([[-3.0, -5.0]], dtype=torch.float64, requires_grad=True)
    A = torch.tensor([[1.0, 0], [0, 2], [3, 2]], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([4.0, 12, 18], dtype=torch.float64, requires_grad=True)
    value = linear_program_value(costs, A_ub=A, b_ub=b)
    value.backward()
    point, prices = torch.tensor([2.0, 6.0]).double(), torch.tensor([0, -1.5, -1.0]).double()
    assert float(value.detach()) == pytest.approx(-36)
    torch.testing.assert_close(costs.grad[0], point)
    torch.testing.assert_close(b.grad, prices)
    torch.testing.assert_close(A.grad, -prices[:, None] * point)


def test_free_variables_have_no_bounds_that_move_the_value():
    """min x + 3 y over all x, y with x + y >= 2 and y >= x + 1 is 5, at (1/2, 3/2)."""
    costs = torch.tensor([[1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    limits = [torch.full((2,), sign * torch.inf).double().requires_grad_() for sign in (-1, 1)]
    rows = torch.tensor([[-1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    sides = torch.tensor([-2.0, -1.0], dtype=torch.float64, requires_grad=True)
    value = linear_program_value(costs, A_ub=rows, b_ub=sides, bounds=tuple(limits))
    value.backward()
    assert float(value.detach()) == pytest.approx(5)
    torch.testing.assert_close(costs.grad, torch.tensor([[0.5, 1.5]]).double())
    torch.testing.assert_close(sides.grad, torch.tensor([-2.0, -1.0]).double())
    assert all(limit.grad.tolist() == [0, 0] for limit in limits)


def test_what_all_instances_share_gets_the_sum_of_their_gradients():
    costs = random(3, 4)
    A, b = random(2, 4, seed=1), torch.tensor([0.9, 0.8], dtype=torch.float64)
    one, many = (A.clone().requires_grad_(), A.expand(3, 2, 4).clone().requires_grad_())
    linear_program_value(costs, A_ub=-one, b_ub=-b).sum().backward()
    linear_program_value(costs, A_ub=-many, b_ub=-b.expand(3, 2)).sum().backward()
    torch.testing.assert_close(one.grad, many.grad.sum(dim=0))
    assert float(one.grad.abs().sum()) > 0.1


@pytest.mark.parametrize("seed", [0, 20])
@pytest.mark.parametrize("size", [1e-12, 1e-8, 3.0, 1e9])
@pytest.mark.parametrize("what", ["costs", "sides", "rows"])
def test_the_size_of_the_numbers_changes_nothing(seed, size, what):
    scaled = {
        "costs": ("costs",),
        "sides": ("b_ub", "b_eq", "least", "most"),
        "rows": ("A_ub", "b_ub", "A_eq", "b_eq"),
    }[what]
    plain = {name: part.clone().requires_grad_() for name, part in a_program(seed).items()}
    sized = {
        name: (part.detach() * size if name in scaled else part.detach().clone()).requires_grad_()
        for name, part in plain.items()
    }
    factor = 1.0 if what == "rows" else size
    torch.testing.assert_close(value_of(sized) / factor, value_of(plain))
    value_of(plain).sum().backward()
    value_of(sized).sum().backward()
    for name, part in plain.items():
        own = size if name in scaled else 1.0
        torch.testing.assert_close(sized[name].grad * own / factor, part.grad)


def test_a_cost_far_below_the_others_counts():
    costs = torch.tensor([[-1.0, -1e-8]], dtype=torch.float64, requires_grad=True)
    linear_program_value(costs, bounds=(0, 1)).sum().backward()
    assert costs.grad.tolist() == [[1, 1]]


def assignment_rows(n):
    eye, ones = torch.eye(n).double(), torch.ones(1, n).double()
    return torch.cat([torch.kron(eye, ones), torch.kron(ones, eye)])


def test_an_integer_program_whose_relaxation_is_whole_has_the_prices_of_that():
    costs = random(5, 4, 4).flatten(1).requires_grad_()
    sides = torch.ones(8, dtype=torch.float64, requires_grad=True)
    value = linear_program_value(costs, A_eq=assignment_rows(4), b_eq=sides, integrality=1)
    value.sum().backward()
    matching = Assignment()(costs.detach().view(5, 4, 4))
    torch.testing.assert_close(costs.grad, matching.flatten(1))
    torch.testing.assert_close(value, (costs.detach().view(5, 4, 4) * matching).sum((1, 2)))
    # Strong duality: with sides of 1 the prices add up to the value.
    assert float(sides.grad.sum()) == pytest.approx(float(value.detach().sum()))


TRIANGLE = torch.tensor([[1.0, 1, 0], [0, 1, 1], [1, 0, 1]])


def test_an_integer_program_without_prices_is_refused_with_the_reason():
    costs = torch.tensor([[-1.0, -0.1, 0.2], [-1.0, -1.0, -1.0]])
    with pytest.raises(NoPricesError, match=r"index 1 .* costs -1\.5, and the best whole one -1:"):
        linear_program_value(costs, A_ub=TRIANGLE, b_ub=torch.ones(3), integrality=1)
    relaxed = linear_program_value(costs, A_ub=TRIANGLE, b_ub=torch.ones(3))
    torch.testing.assert_close(relaxed, torch.tensor([-1.0, -1.5]))
    half = torch.tensor([0.5])
    with pytest.raises(NoPricesError, match="there is no whole point"):
        linear_program_value(torch.ones(1, 1), A_eq=torch.ones(1, 1), b_eq=half, integrality=1)


@pytest.mark.parametrize("seed", range(5))
def test_a_whole_optimum_of_the_relaxation_is_found_to_the_last_unit(seed):
    """Worth is weight, and some items fill the room exactly."""
    generator = np.random.default_rng(seed)
    weights = generator.integers(1_000, 100_000, 20)
    room = int(weights[generator.random(20) < 0.5].sum())
    costs = torch.tensor(-weights[None, :], dtype=torch.float64, requires_grad=True)
    rows = torch.tensor(weights[None, :], dtype=torch.float64)
    value = linear_program_value(costs, rows, [room], bounds=(0, 1), integrality=1)
    value.sum().backward()
    assert value.item() == -room
    assert set(costs.grad.flatten().tolist()) == {0.0, 1.0}
    assert costs.grad.numpy()[0] @ weights == room


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_where_the_relaxation_ties_with_a_whole_point_that_is_taken(order):
    costs = torch.tensor([[-1.0, -1.0, 0.0]])[:, order].double().requires_grad_()
    rows = TRIANGLE[:, order].double()
    value = linear_program_value(costs, A_ub=rows, b_ub=torch.ones(3), integrality=1)
    value.sum().backward()
    assert float(value.detach()) == -1
    assert set(costs.grad.flatten().tolist()) <= {0.0, 1.0}


def test_a_batch_in_single_precision_and_under_autocast():
    costs = random(3, 4).float().requires_grad_()
    A, b = random(2, 4, seed=1).to(torch.bfloat16).requires_grad_(), torch.ones(2)
    with torch.autocast("cpu", torch.bfloat16):
        value = linear_program_value(costs.to(torch.bfloat16), A_ub=-A, b_ub=-b)
    assert (value.dtype, value.shape) == (torch.float32, (3,))
    value.sum().backward()
    assert A.grad.dtype == torch.bfloat16
    assert linear_program_value(costs[:0], A_ub=-A, b_ub=-b).shape == (0,)


ONE = torch.ones(1, 1)


@pytest.mark.parametrize(
    ("parts", "error", "words"),
    [
        ({"costs": torch.ones(3)}, SolverInputError, r"costs has shape \(3,\)"),
        ({"A_ub": torch.ones(1, 3)}, SolverInputError, "b_ub has no value; pass both rows"),
        ({"b_eq": torch.ones(1)}, SolverInputError, "A_eq has no value"),
        ({"A_ub": torch.ones(2, 2), "b_ub": ONE[0]}, SolverInputError, r"pass \(2, 3\) or \(2, 2"),
        ({"A_ub": torch.ones(2, 3), "b_ub": ONE[0]}, SolverInputError, r"b_ub has shape \(1, 1\)"),
        ({"bounds": (0.0,)}, SolverInputError, r"bounds are \(0\.0,\); pass \(least, most\)"),
        ({"bounds": (0.0, torch.nan)}, SolverInputError, "index 0 contains NaN"),
        ({"bounds": (1.0, torch.tensor([2, 2, 0.5]))}, InfeasibleError, "batch index 0 has no sol"),
        ({"costs": torch.tensor([[1.0, 0, 0], [0, -1, 0]])}, UnboundedError, "of batch index 1"),
        ({"costs": torch.full((2, 3), torch.inf)}, SolverInputError, "index 0 contains NaN or inf"),
    ],
)  # fmt: skip
def test_what_has_no_value_says_why(parts, error, words):
    with pytest.raises(error, match=words):
        linear_program_value(**{"costs": torch.ones(2, 3)} | parts)


@pytest.mark.parametrize(
    ("parts", "error"), [({"bounds": (2.0, 1.0)}, InfeasibleError), ({}, UnboundedError)]
)
def test_what_a_presolve_leaves_in_doubt_is_told_without_it(parts, error, monkeypatch):
    solve = scipy.optimize.linprog

    def in_doubt(*program, options, **others):
        if options.get("presolve", True):
            return scipy.optimize.OptimizeResult(status=4, message="unbounded or infeasible")
        return solve(*program, options=options, **others)

    monkeypatch.setattr(scipy.optimize, "linprog", in_doubt)
    with pytest.raises(error):
        linear_program_value(-torch.ones(1, 3), **parts)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"bounds": [(0, 1), (0, 5)]}, "could be a pair for each of two variables, as in scipy"),
        ({"bounds": (0, "much")}, "bounds has type str"),
        ({"A_ub": torch.ones(2), "b_ub": torch.ones(1)}, r"A_ub has shape \(2,\); pass \(1, 2\)"),
        ({"integrality": [1, 1, 1]}, r"integrality has shape \(3,\); pass one number or 2"),
        ({"costs": torch.ones(1, 2, dtype=torch.int64)}, r"int64; pass floating point, costs.flo"),
        ({"costs": [[1.0, 2.0]]}, r"costs has shape list; pass a tensor \(B, n\)"),
    ],
)
def test_arguments_of_another_form_are_refused(parts, words):
    with pytest.raises(SolverInputError, match=words):
        linear_program_value(**{"costs": -torch.ones(1, 2), **parts})


def test_rows_may_be_arrays_or_lists_and_a_bound_none():
    costs = -torch.ones(2, 2)
    for kind in (list, np.array, torch.tensor):
        value = linear_program_value(costs, kind([[1.0, 2.0]]), kind([4.0]), bounds=(0, None))
        assert value.tolist() == [-4, -4]
    free = linear_program_value(torch.ones(1, 1), -np.eye(1), [3.0], bounds=(None, None))
    assert free.tolist() == [-3]


def test_the_value_of_no_instances_has_no_gradient_but_a_graph():
    costs = torch.zeros(0, 2)
    most = torch.ones(2, requires_grad=True)
    value = linear_program_value(costs, bounds=(0, most))
    assert value.shape == (0,)
    value.sum().backward()
    assert most.grad.tolist() == [0, 0]


@pytest.mark.parametrize("seed", [0, 10])
def test_cvxpylayers_has_the_same_gradients(seed):
    """Its own derivative of the best point, through which it differentiates the value."""
    cp = pytest.importorskip("cvxpy")
    layers = pytest.importorskip("cvxpylayers.torch")
    parts = a_program(seed)
    names = ("costs", "A_ub", "b_ub", "A_eq", "b_eq", "least", "most")
    given = {name: cp.Parameter(parts[name].shape[1:]) for name in names}
    u = cp.Variable(4)
    rows = [given["A_ub"] @ u <= given["b_ub"], given["A_eq"] @ u == given["b_eq"]]
    problem = cp.Problem(
        cp.Minimize(given["costs"] @ u), [*rows, u >= given["least"], u <= given["most"]]
    )
    layer = layers.CvxpyLayer(problem, parameters=list(given.values()), variables=[u])
    found = {}
    for kind in ("ours", "theirs"):
        own = {name: part.clone().requires_grad_() for name, part in parts.items()}
        if kind == "ours":
            value = value_of(own)
        else:
            value = (own["costs"] * layer(*(own[name] for name in names))[0]).sum(dim=1)
        value.sum().backward()
        found[kind] = {"value": value.detach()} | {name: own[name].grad for name in names}
    for name in ("value", *names):
        torch.testing.assert_close(found["theirs"][name], found["ours"][name], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_rows_are_not_rounded_to_the_dtype_of_the_costs(dtype):
    # The second equation is the first times 3, but not once both are rounded; (1, 2) over
    # 0.1 u + 0.7 v = 0.8 is least at (0, 8/7).
    rows, sides = np.array([[0.1, 0.7], [0.3, 2.1]]), np.array([0.8, 2.4])
    costs = torch.tensor([[1.0, 2.0]], dtype=dtype, requires_grad=True)
    value = linear_program_value(costs, A_eq=rows, b_eq=sides)
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(16 / 7, rel=1e-6)
    value.sum().backward()
    assert costs.grad.tolist()[0] == pytest.approx([0, 8 / 7], rel=1e-3)


def test_a_number_is_not_rounded_either():
    value = linear_program_value(torch.tensor([[-1.0]], dtype=torch.float64), bounds=(0.0, 0.1))
    assert float(value) == -0.1


def test_rows_of_another_dtype_than_the_costs_have_a_gradient():
    # 0.1 u + 0.7 v = 0.8 is least at (0, 8/7), with a price of 2 / 0.7 for the row.
    costs = torch.tensor([[1.0, 2.0]], requires_grad=True)
    rows = torch.tensor([[0.1, 0.7]], dtype=torch.float64, requires_grad=True)
    side = torch.tensor([0.8], dtype=torch.float64, requires_grad=True)
    linear_program_value(costs, A_eq=rows, b_eq=side).sum().backward()
    price = 2 / 0.7
    assert rows.grad.dtype == side.grad.dtype == torch.float64
    assert rows.grad.tolist()[0] == pytest.approx([0, -price * 8 / 7], rel=1e-6)
    assert side.grad.tolist() == pytest.approx([price], rel=1e-6)


def test_whole_numbers_are_not_rounded():
    least = torch.tensor([2**24 + 1])
    costs = torch.ones(1, 1, dtype=torch.float64)
    assert float(linear_program_value(costs, bounds=(least, None))) == 2**24 + 1
