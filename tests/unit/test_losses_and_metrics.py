"""Losses and metrics against the same sums in plain Python."""

import itertools
import math

import pytest
import torch

from combgrad.data.globe.sphere import edge_distances, unit_vectors
from combgrad.losses import BilinearHamming, Hamming
from combgrad.metrics import (
    column_cost_ratio,
    cost_mse,
    cost_norm,
    cost_ratio,
    edge_accuracy,
    entry_accuracy,
    is_cheapest,
    subset_precision,
    tour_accuracy,
    wrong_entries,
)
from combgrad.solvers import BruteForceTSP
from combgrad.solvers.edges import city_count, edges_to_matrix, matrix_to_edges
from combgrad.solvers.spending import spent


def tours(seed, rows=8):
    costs = torch.randn(rows, 10, generator=torch.Generator().manual_seed(seed))
    return BruteForceTSP()(costs)


def test_hamming_counts_wrong_edges_and_its_gradient_is_the_sign():
    solution, target = tours(0).requires_grad_(), tours(1)
    loss = Hamming.of_each(solution, target).mean()
    pairs = list(zip(solution.tolist(), target.tolist(), strict=True))
    wrong = [sum(a != b for a, b in zip(*pair, strict=True)) for pair in pairs]
    assert float(loss.detach()) == pytest.approx(sum(wrong) / len(wrong))
    loss.backward()
    torch.testing.assert_close(solution.grad, torch.sign(solution.detach() - target) / 8)


def test_bilinear_hamming_has_the_same_value_and_a_constant_gradient():
    solution, target = tours(0).requires_grad_(), tours(1)
    loss = BilinearHamming.of_each(solution, target).mean()
    same = Hamming.of_each(solution, target).mean()
    assert float(loss.detach()) == pytest.approx(float(same.detach()))
    loss.backward()
    torch.testing.assert_close(solution.grad, (1 - 2 * target) / 8)


def test_accuracies_equal_their_matrix_definitions():
    solution, target = tours(0), tours(1)
    solution[3] = target[3]
    a, b = edges_to_matrix(solution), edges_to_matrix(target)
    for row in range(8):
        found = sum(bool(a[row, i, j] * b[row, i, j]) for i in range(5) for j in range(5))
        same = sum(bool(a[row, i, j] == b[row, i, j]) for i in range(5) for j in range(5))
        assert float(edge_accuracy(solution, target)[row]) == pytest.approx(found / 10)
        assert float(entry_accuracy(solution, target)[row]) == pytest.approx(same / 25)
        assert float(tour_accuracy(solution, target)[row]) == float(same == 25)
    assert float(tour_accuracy(solution, target)[3]) == 1


def test_the_ratio_by_columns_punishes_another_path_of_the_same_cost():
    costs = torch.tensor([[[1.0, 2, 5], [2, 3, 1], [4, 2, 1]]])
    found = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    target = torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 1, 1]]])
    # Columns 1 / 3, 3 / 2 and 1 / 1; as a whole 5 / 6.
    ratio = column_cost_ratio(found, target, costs)
    assert ratio.tolist() == pytest.approx([(1 / 3 + 3 / 2 + 1) / 3])
    assert cost_ratio(found, target, costs).tolist() == pytest.approx([5 / 6])
    same = torch.ones(1, 3, 4)
    lower, upper = torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)
    lower[0, [0, 1, 2, 2, 2], [0, 0, 1, 2, 3]] = 1
    upper[0, [0, 0, 0, 1, 2], [0, 1, 2, 3, 3]] = 1
    assert cost_ratio(lower, upper, same).tolist() == [1.0]
    assert column_cost_ratio(lower, upper, same).tolist() == [(2 + 1 + 1 + 0.5) / 4]


def test_cost_ratio_and_norm():
    costs = torch.rand(8, 10, generator=torch.Generator().manual_seed(2)) + 0.1
    target = BruteForceTSP()(costs)
    ratio = cost_ratio(tours(0), target, costs)
    assert bool((ratio >= 1).all())
    torch.testing.assert_close(cost_ratio(target, target, costs), torch.ones(8))
    expected = math.sqrt(math.fsum(c * c for c in costs[2].double().tolist()))
    assert float(cost_norm(costs)[2]) == pytest.approx(expected)


def test_edges_and_matrices_are_two_views_of_one_thing():
    edges = torch.arange(1.0, 7.0).unsqueeze(0)
    expected = [[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]
    matrix = edges_to_matrix(edges)
    assert matrix[0].tolist() == expected
    assert torch.equal(matrix_to_edges(matrix), edges)
    assert [city_count(e) for e in (0, 1, 3, 6, 190, 1953)] == [1, 2, 3, 4, 20, 63]


def test_distances_on_the_sphere_equal_the_haversine_formula():
    places = torch.tensor([[2.35, 48.86], [13.40, 52.52], [139.69, 35.69], [-77.03, -12.05]])
    points = unit_vectors(places.double())
    torch.testing.assert_close(points.norm(dim=1), torch.ones(4, dtype=torch.float64))
    chord = edge_distances(points.unsqueeze(0))[0]
    arc = edge_distances(points.unsqueeze(0), "great_circle")[0]
    for edge, (i, j) in enumerate([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]):
        (lon1, lat1), (lon2, lat2) = torch.deg2rad(places.double())[[i, j]].tolist()
        h = (
            math.sin((lat2 - lat1) / 2) ** 2
            + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
        )
        assert float(arc[edge]) == pytest.approx(2 * math.asin(math.sqrt(h)), rel=1e-9)
        assert float(chord[edge]) == pytest.approx(2 * math.sqrt(h), rel=1e-9)
    assert float(arc[0]) * 6371 == pytest.approx(878, abs=2)  # Paris to Berlin, km


@pytest.mark.parametrize("distance", ["chord", "great_circle"])
def test_equal_and_opposite_points_keep_a_finite_gradient(distance):
    points = torch.tensor([[[1.0, 0, 0], [1.0, 0, 0], [-1.0, 0, 0]]], requires_grad=True)
    edge_distances(points, distance).sum().backward()
    assert bool(torch.isfinite(points.grad).all())


def test_an_unknown_distance_is_refused():
    with pytest.raises(ValueError, match="great_circle"):
        edge_distances(torch.zeros(1, 3, 3), "planar")


@pytest.mark.parametrize("sign", ["positive", "negative", "mixed"])
def test_the_cheapest_is_found_for_costs_of_any_sign(sign):
    """Among all packings of five items those of the least cost, and no others."""
    generator = torch.Generator().manual_seed(0)
    costs = torch.randint(1, 9, (20, 5), generator=generator).double()
    if sign != "positive":
        costs = costs * (-1 if sign == "negative" else 1 - 2 * (costs % 2))
    packings = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)), dtype=torch.float64)
    packings = packings[(packings * torch.tensor([1.0, 2, 3, 2, 1])).sum(dim=1) <= 5]
    for row in costs:
        each = [sum(w * y for w, y in zip(row.tolist(), y, strict=True)) for y in packings.tolist()]
        best = packings[each.index(min(each))].expand_as(packings)
        found = is_cheapest(packings, best, row.expand_as(packings))
        assert found.tolist() == [float(cost == min(each)) for cost in each]


def test_only_rounding_is_forgiven_to_the_cheapest():
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for unit in (1.0, -1.0):
        costs = torch.tensor([[unit, unit + 2e-6], [unit + 2e-4, unit]])
        assert is_cheapest(target.flip(1), target, costs).tolist() == [1.0, 0.0]


#: name -> what is called with a solution and a target of a possibly wrong shape.
COMPARED = {
    "edge_accuracy": edge_accuracy,
    "tour_accuracy": tour_accuracy,
    "entry_accuracy": entry_accuracy,
    "wrong_entries": wrong_entries,
    "cost_ratio": lambda y, target: cost_ratio(y, target, y),
    "is_cheapest": lambda y, target: is_cheapest(y, target, y),
    "column_cost_ratio": lambda y, target: column_cost_ratio(y[None], target[None], y[None]),
    "cost_mse": cost_mse,
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_squared_errors_of_halves_do_not_leave_their_range(dtype):
    """300^2 is beyond float16, and 1 + 1/16384 has no such digits."""
    costs = torch.tensor([[300.0, 0.0], [1.0, 1 / 128]], dtype=dtype)
    found = cost_mse(costs, torch.zeros(2, 2, dtype=dtype))
    assert found.tolist() == [300.0**2 / 2, (1 + 1 / 16384) / 2]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_entries_of_halves_are_counted_in_single_precision(dtype):
    """Above 65504 entries are inf in float16, and 301 of them are 302 in bfloat16."""
    many, none = torch.ones(1, 99_681, dtype=dtype), torch.zeros(1, 99_681, dtype=dtype)
    few = none.clone()
    few[:, :301] = 1
    assert wrong_entries(many, none).tolist() == [99_681]
    assert wrong_entries(few, none).tolist() == [301]
    assert edge_accuracy(many, many).tolist() == [1]
    assert float(edge_accuracy(few, many)) == pytest.approx(301 / 99_681)
    assert float(entry_accuracy(few, none)) == pytest.approx(1 - 602 / 447**2)
    assert float(subset_precision(many, few)) == pytest.approx(301 / 99_681)


@pytest.mark.parametrize("name", COMPARED)
def test_a_metric_refuses_a_target_that_would_be_broadcast(name):
    solution = tours(0)
    with pytest.raises(ValueError, match=rf"^{name} needs true .* \(got \(.*1\)\)"):
        COMPARED[name](solution, solution[:, :1])


@pytest.mark.parametrize("name", COMPARED)
def test_a_metric_takes_bool_targets_for_numbers(name):
    solution, target = tours(0), tours(1)
    assert torch.equal(COMPARED[name](solution, target.bool()), COMPARED[name](solution, target))


def test_edges_and_subsets_are_counted_in_whole_instances():
    solution, target = torch.ones(2, 3, 4), torch.zeros(2, 3, 4)
    target[:, 0] = 1
    assert edge_accuracy(solution, target).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="subset_precision: relevant has shape"):
        subset_precision(torch.ones(3, 4), torch.ones(3, 1))


def test_half_precision_costs_are_multiplied_in_single():
    costs, solution = torch.full((1, 1500), 50.0).half(), torch.arange(1500.0)[None].half()
    assert float(spent(costs, solution)) == pytest.approx(50 * 1499 * 750, rel=1e-5)
