"""A cache answers as its solver does, and calls it less."""

import pickle
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.instances import Instances
from combgrad.solvers import TSP, GraphShortestPath, Knapsack, TopK
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.cache import Cached
from combgrad.solvers.function import from_function
from combgrad.solvers.shortest_path import ShortestPath


class Recorder(Solver):
    """Marks the entries below a threshold, and remembers how many instances it saw."""

    traits = frozenset({Trait.SCALE_INVARIANT})
    per_row = MappingProxyType({"thresholds": ()})

    def __init__(self):
        super().__init__()
        self.rows = []

    def _solve(self, costs, threshold=0.0, thresholds=None):
        self.rows.append(len(costs))
        if thresholds is not None:
            assert len(thresholds) == len(costs)
            threshold = torch.as_tensor(thresholds).reshape(-1, 1)
        return (costs < threshold).to(costs)


@given(
    size=st.integers(1, 6),
    batches=st.lists(st.lists(st.integers(-2, 2), min_size=1, max_size=6), max_size=12),
)
def test_it_answers_as_its_solver_for_any_size(size, batches):
    cached, plain = Cached(ShortestPath(negative="clamp"), size), ShortestPath(negative="clamp")
    for rows in batches:
        generators = [torch.Generator().manual_seed(row + 2) for row in rows]
        costs = torch.stack([torch.rand(4, 4, generator=g) - 0.2 for g in generators])
        assert torch.equal(cached(costs), plain(costs))
        assert len(cached._solutions) <= size


def test_what_was_solved_is_not_solved_again():
    inner = Recorder()
    cached = Cached(inner)
    assert cached.hit_rate == 0.0
    costs = torch.randn(4, 3)
    first = cached(costs)
    assert torch.equal(cached(costs.flip(0)), first.flip(0))
    assert inner.rows == [4]
    assert cached.hit_rate == 0.5
    cached(torch.cat([costs, torch.randn(2, 3)]))
    assert inner.rows == [4, 2]


def test_duplicates_within_a_batch_are_solved_once():
    inner = Recorder()
    costs = torch.randn(2, 3)[[0, 1, 1, 0, 0]]
    cached = Cached(inner)
    assert torch.equal(cached(costs), Recorder()(costs))
    assert inner.rows == [2]
    assert cached.hit_rate == pytest.approx(3 / 5)


def test_the_least_recently_used_is_dropped_first():
    inner = Recorder()
    cached = Cached(inner, size=2)
    a, b, c = torch.randn(3, 1, 3)
    for costs in (a, b, a, c, a, b):
        cached(costs)
    assert inner.rows == [1, 1, 1, 1]  # a, b, c, and b again
    assert torch.equal(cached(torch.cat([a, b, c, a])), Recorder()(torch.cat([a, b, c, a])))


def test_changing_an_answer_does_not_change_the_next():
    cached = Cached(Recorder())
    costs = -torch.rand(1, 3)
    cached(costs).zero_()
    cached(costs).zero_()
    assert float(cached(costs).sum()) == 3


def test_a_kept_solution_keeps_no_batch_in_memory():
    cached = Cached(Recorder())
    cached(torch.randn(50, 3))
    sizes = [solution.untyped_storage().nbytes() for solution in cached._solutions.values()]
    assert sizes == [3 * 4] * 50


def test_dtype_shape_and_arguments_are_told_apart():
    inner = Recorder()
    cached = Cached(inner)
    costs = torch.zeros(3, 4)
    for other in (costs, costs.double(), costs.reshape(3, 2, 2), costs.reshape(3, 4, 1)):
        assert cached(other).dtype == other.dtype
        assert cached(other).shape == other.shape
    assert len(inner.rows) == 4
    for threshold in (1, 1.0, torch.tensor(1.0), np.float32(2), torch.ones(4)):
        expected = Recorder()(costs + 1.5, threshold=threshold)
        assert torch.equal(cached(costs + 1.5, threshold=threshold), expected)
    assert len(inner.rows) == 9


def test_arguments_of_each_instance_are_told_apart():
    costs = torch.zeros(3, 2)
    thresholds = torch.tensor([-1.0, 1.0, -1.0])
    expected = Recorder()(costs, thresholds=thresholds)
    cached = Cached(inner := Recorder())
    for given_as in (thresholds, thresholds.flip(0), thresholds):
        assert torch.equal(cached(costs, thresholds=given_as), expected)
    assert inner.rows == [2]
    for given_as in (thresholds.numpy(), thresholds.tolist()):
        assert torch.equal(cached(costs, thresholds=given_as), expected)


def test_ends_of_each_path_can_be_cached():
    costs = torch.rand(1, 6, 6, generator=torch.Generator().manual_seed(0)).expand(4, 6, 6)
    ends = torch.tensor([[5, 5], [0, 5], [5, 5], [5, 0]])
    cached = Cached(ShortestPath())
    assert torch.equal(cached(costs, end=ends), ShortestPath()(costs, end=ends))
    assert cached.hit_rate == 0.25
    assert torch.equal(cached(costs, end=(5, 5)), ShortestPath()(costs))


def test_arguments_without_bytes_go_past_the_cache():
    inner = from_function(lambda costs, rule: rule(costs))
    cached = Cached(inner)
    costs = torch.randn(2, 3)
    assert torch.equal(cached(costs, rule=np.abs), costs.abs())
    assert torch.equal(cached(costs, rule=np.negative), -costs)
    assert cached.hit_rate == 0.0
    cached = Cached(from_function(lambda costs, rules: rules[0](costs)))
    assert torch.equal(cached(costs, rules=[np.abs]), costs.abs())
    assert torch.equal(cached(costs, rules=[np.negative]), -costs)


def test_what_instances_call_shared_stays_so_for_a_function():
    cached = Cached(from_function(lambda costs, table=None: (costs < table[1]).astype(float)))
    costs = torch.tensor([[0.1, 0.9, 0.4], [0.6, 0.2, 0.8]])
    table = np.array([0.0, 0.5])  # as long as the batch
    found = cached(costs, Instances(shared={"table": table}))
    assert found.tolist() == [[1, 0, 1], [0, 1, 0]]
    with pytest.raises(SolverInputError, match="'table' is as long as the batch"):
        cached(costs, table=table)


def test_errors_count_in_the_batch_of_the_caller():
    cached = Cached(ShortestPath())
    costs = torch.rand(4, 3, 3)
    cached(costs)
    worse = torch.cat([costs, -costs[:1]])
    with pytest.raises(SolverInputError, match="batch index 4"):
        cached(worse)
    with pytest.raises(SolverInputError, match="B, H, W"):
        cached(torch.rand(2, 3))


def test_it_has_the_traits_and_checks_of_its_solver():
    cached = Cached(TSP())
    assert cached.traits == TSP.traits
    potential = torch.tensor([3.0, 4, 5, 5, 6, 7], dtype=torch.float64)
    assert cached.is_constant_on(potential)
    path = Cached(ShortestPath())
    assert path.traits == {Trait.SCALE_INVARIANT}
    assert not path.is_constant_on(torch.ones(3, 3))
    costs = torch.rand(2, 3, 3, dtype=torch.float64)
    assert torch.equal(path.optimum(costs), ShortestPath().optimum(costs))
    assert path.feasible(path(costs)).all()
    assert not path.feasible(torch.zeros(1, 3, 3)).any()


def test_the_optimum_of_a_padded_batch_passes_no_padding():
    path = GraphShortestPath([(0, 1), (1, 2), (0, 2)], 3, 0, 2)
    costs = torch.tensor([[1.0, 1.0, 9.0], [1.0, 2.0, 0.0]])
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert Cached(path).optimum(costs, valid=valid).tolist() == [2.0, 3.0]


def test_a_copy_starts_empty_and_empty_batches_pass():
    cached = Cached(Recorder(), size=3)
    costs = torch.randn(2, 3)
    expected = cached(costs)
    copy = pickle.loads(pickle.dumps(cached))
    assert copy.size == 3
    assert not copy._solutions
    assert torch.equal(copy(costs), expected)
    assert cached(costs[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="size"):
        Cached(Recorder(), size=0)


def test_arguments_of_equal_value_and_another_name_are_told_apart():
    costs = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(0))
    cells = torch.tensor([[0, 5], [2, 2]])
    cached = Cached(ShortestPath())
    for ends in ({"start": cells}, {"end": cells}, {"start": (2, 2)}, {"end": (2, 2)}):
        assert torch.equal(cached(costs, **ends), ShortestPath()(costs, **ends))
    assert cached.hit_rate == 0.0
    cached(costs, end=cells)
    assert cached.hit_rate == pytest.approx(0.2)


def test_a_solver_that_was_changed_is_asked_again():
    costs = torch.rand(3, 6, generator=torch.Generator().manual_seed(0))
    cached = Cached(TopK(2))
    twice = Cached(cached)
    for k in (2, 3, 2):
        cached.solver.k = k
        assert torch.equal(cached(costs), TopK(k)(costs))
        assert torch.equal(twice(costs), TopK(k)(costs))
    cached.solver = TopK(4)
    assert torch.equal(twice(costs), TopK(4)(costs))
    packing = Cached(Knapsack([1, 2, 3], 3))
    values = -torch.ones(1, 3)
    assert packing(values).sum() == packing(values).sum() == 2
    assert packing.hit_rate == 0.5


class Ruled(Solver):
    """Has a parameter with which nothing can be compared."""

    def __init__(self, rules):
        self.rules = rules

    def _solve(self, costs):
        return costs * self.rules["factor"]


def test_a_parameter_that_cannot_be_compared_goes_past_the_cache():
    cached = Cached(Ruled(rules := {"factor": 2.0}))
    costs = torch.rand(2, 3)
    assert torch.equal(cached(costs), costs * 2)
    rules["factor"] = 3.0
    assert torch.equal(cached(costs), costs * 3)


def test_padding_is_told_apart_and_never_compared():
    costs = torch.tensor([[3.0, 1, 2, 9], [3, 1, 2, 7], [3, 1, 2, 0], [3, 1, 2, 0]])
    valid = torch.tensor([[True] * 3 + [False]] * 3 + [[True] * 4])
    cached = Cached(TopK(1))
    assert cached(costs, valid=valid).argmax(dim=1).tolist() == [1, 1, 1, 3]
    assert cached.hit_rate == 0.5


def test_what_is_missing_is_solved_near_what_was_given():
    class Starts(TopK):
        def _solve_near(self, costs, near):
            seen.append(near)
            return self._solve(costs)

    seen = []
    cached, costs = Cached(Starts(1)), torch.tensor([[2.0, 1], [1, 2], [3, 0]])
    cached(costs[:1])
    near = torch.eye(2)[[0, 1, 0]]
    assert torch.equal(cached.solve_near(costs, near), TopK(1)(costs))
    assert torch.equal(torch.cat(seen), near[1:])


def test_what_is_no_solver_and_a_size_that_is_no_count_are_refused():
    with pytest.raises(IncompatibleError, match="pass a Solver"):
        Cached(TopK)
    with pytest.raises(ValueError, match=r"size is 2\.5; a cache keeps at least 1 solution"):
        Cached(TopK(2), size=2.5)
