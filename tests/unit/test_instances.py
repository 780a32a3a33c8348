"""What describes a batch beside its costs: said per row or shared, checked, cut and repeated."""

import copy
import pickle
from types import MappingProxyType

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import SolverInputError
from combgrad.gradients import IMLE, Identity, Perturbed
from combgrad.gradients.sampling import solve_samples
from combgrad.instances import NOTHING, Instances
from combgrad.sampling.noise import Gumbel
from combgrad.solvers import TSP, ShortestPath, Solver, TopK, from_function


def described():
    return Instances(
        {
            "ends": torch.arange(6).view(3, 2),
            "sizes": np.array([4, 5, 6]),
            "graphs": ["a", "b", "c"],
        },
        {"power": 2, "weights": torch.ones(7)},
        torch.tensor([[True, True], [True, False], [False, False]]),
    )


def test_rows_are_taken_from_all_that_has_an_entry_for_each():
    for index in ([2, 0], torch.tensor([2, 0])):
        some = described().rows(index)
        assert some.size == 2
        assert some.per_row["ends"].tolist() == [[4, 5], [0, 1]]
        assert some.per_row["sizes"].tolist() == [6, 4]
        assert some.per_row["graphs"] == ["c", "a"]
        assert some.valid.tolist() == [[False, False], [True, True]]
        assert some.shared["weights"].shape == (7,)
    assert described().rows([]).size == 0


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_rows_of_a_mask_are_refused(kind):
    """As places they would be those of instances 0, 1 and 1."""
    given = Instances(per_row={"end": torch.arange(6).view(3, 2)})
    with pytest.raises(SolverInputError, match=r"got a mask; pass mask\.nonzero\(\)\[:, 0\]"):
        given.rows(kind([False, True, True]))
    mask = torch.tensor([False, True, True])
    assert given.rows(mask.nonzero()[:, 0]).per_row["end"].tolist() == [[2, 3], [4, 5]]


def test_repeated_is_the_batch_as_a_whole_again_and_again():
    many, once = described().repeat(3), described()
    assert many.size == 9
    for m in range(3):
        for row in range(3):
            place = m * 3 + row
            assert torch.equal(many.per_row["ends"][place], once.per_row["ends"][row])
            assert many.per_row["sizes"][place] == once.per_row["sizes"][row]
            assert many.per_row["graphs"][place] == once.per_row["graphs"][row]
            assert torch.equal(many.valid[place], once.valid[row])
    assert many.shared["power"] == once.shared["power"]
    assert torch.equal(many.shared["weights"], once.shared["weights"])


@pytest.mark.parametrize("times", [0, -1, 1.5])
def test_no_batch_is_repeated_less_than_once(times):
    with pytest.raises(ValueError, match=rf"repeat.times is {times}; .* at least 1"):
        described().repeat(times)


def test_it_cannot_be_changed_and_travels():
    one = described()
    with pytest.raises(TypeError):
        one.per_row["ends"] = 1
    with pytest.raises(AttributeError):
        one.valid = None
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), one.to("cpu")):
        assert torch.equal(other.valid, one.valid)
        assert other.per_row["graphs"] == ["a", "b", "c"]
        assert other.shared["power"] == 2
    half = Instances({"w": torch.ones(2)}, {"v": torch.ones(1)}).to(torch.float16)
    assert half.per_row["w"].dtype == half.shared["v"].dtype == torch.float16


def test_nothing_is_false_and_has_no_size():
    assert not NOTHING
    assert NOTHING.size is None
    assert NOTHING.repeat(4).entries == {}
    assert Instances(shared={"a": 1})
    assert Instances(shared={"a": 1}).size is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Instances({"a": [1, 2], "b": [1]}), r"\(a 2, b 1\)"),
        (lambda: Instances({"a": [1]}, {"a": 1}), "'a' stands in more"),
        (lambda: Instances({"valid": [1]}), "'valid' stands in more"),
        (lambda: Instances({"a": 3}), "a int has none"),
        (lambda: Instances(valid=torch.ones(2, 3)), "valid is no bool"),
        (lambda: Instances(valid=[[True]]), "valid is no bool"),
        (lambda: Instances({"a": [1]}, valid=torch.ones(2, 3).bool()), r"\(a 1, valid 2\)"),
    ],
)
def test_what_contradicts_itself_is_refused(make, words):
    with pytest.raises(SolverInputError, match=words):
        make()


PAIRS = torch.tensor([[1, 1], [2, 2]])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s, c: s(c, finish=PAIRS), "no argument 'finish' .* there is start, end, valid"),
        (lambda s, c: s(c, Instances({"goal": [1, 2]})), "no argument 'goal'"),
        (lambda s, c: s(c, end=PAIRS[:1]), "'end' has 1 entries for 2 instances"),
        (lambda s, c: s(c, Instances({"end": PAIRS[:1]})), "1 instances are described.*of 2"),
        (lambda s, c: s(c, Instances(shared={"end": PAIRS})), "'end' has one entry for each"),
        (lambda s, c: s(c, Instances({"end": PAIRS}), start=(0, 0)), "instances and start are"),
        (lambda s, c: s(c, valid=torch.ones(2, 3).bool()), r"valid has shape \(2, 3\)"),
        (lambda s, c: s(c, valid=torch.ones(3, 3).bool()), r"valid has shape \(3, 3\) .*\(2, 3, 3"),
        (lambda s, c: s(c, end=7), "'end' has one entry"),
        (lambda s, c: TSP()(c.flatten(1)[:, :6], warm=1), "TSP takes no argument 'warm'"),
    ],
)
def test_what_a_solver_does_not_understand_is_refused(call, words):
    with pytest.raises(SolverInputError, match=words):
        call(ShortestPath(), torch.rand(2, 3, 3))


def test_per_row_and_shared_are_what_the_solver_says():
    class Weighted(Solver):
        per_row = MappingProxyType({"graphs": None})

        def _solve(self, costs, graphs, weights=1.0):
            return costs * weights * torch.tensor(graphs).view(-1, 1)

    solver = Weighted()
    assert solver.shared == {"weights"}
    costs = torch.ones(2, 3)
    assert solver(costs, graphs=[2.0, 3], weights=torch.ones(3)).tolist() == [[2] * 3, [3] * 3]
    for wrong, words in (
        (Instances({"weights": [1, 2]}), "all instances share 'weights'"),
        (Instances(shared={"graphs": [1, 2]}), "'graphs' has one entry for each"),
    ):
        with pytest.raises(SolverInputError, match=words):
            solver(costs, wrong)


def test_a_function_takes_the_arguments_it_has():
    def scaled(costs, factor=1.0, *, shift=0.0):
        return costs * factor + shift

    solver = from_function(scaled, batched=("shift",))
    costs = torch.ones(2, 3)
    assert solver(costs, factor=2.0, shift=torch.tensor([0.0, 1])).tolist() == [[2] * 3, [3] * 3]
    with pytest.raises(SolverInputError, match=r"no argument 'scale' .* shift, factor, valid"):
        solver(costs, scale=2.0)
    anything = from_function(lambda costs, **named: costs * len(named))
    assert anything(costs, a=1, b=2).tolist() == [[2] * 3] * 2


def test_samples_are_one_batch_whatever_describes_the_instances():
    costs = torch.rand(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    solver, instances = ShortestPath(), Instances({"end": PAIRS}, {"start": (0, 1)})
    expected = torch.stack([ShortestPath()(row, end=PAIRS, start=(0, 1)) for row in costs])
    assert torch.equal(solve_samples(solver, costs, instances), expected)
    assert torch.equal(solve_samples(solver, costs, instances, near=expected), expected)
    assert solver.calls == 2
    for method in (IMLE(1.0, Gumbel(), 3), Perturbed(0.1, 3)):
        layer = CombinatorialLayer(ShortestPath(negative="clamp"), method)
        found = layer(costs[0], instances=instances)
        assert float(found[0, 2:].sum() + found[0, :, 2:].sum()) < 3  # each path ends at (1, 1)
        assert layer.solver.calls == 1
        assert found[:, 0, 1].tolist() == [1, 1]


def test_the_layer_takes_keywords_or_instances():
    costs = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))
    layer = CombinatorialLayer(ShortestPath(), Identity())
    expected = ShortestPath()(costs, end=PAIRS)
    assert torch.equal(layer(costs, end=PAIRS), expected)
    assert torch.equal(layer(costs, instances=Instances({"end": PAIRS})), expected)
    with pytest.raises(SolverInputError, match="TopK takes no argument 'end'"):
        CombinatorialLayer(TopK(1), Identity())(torch.rand(2, 4), end=PAIRS)


def test_solving_near_answers_as_solving_does_and_wants_one_solution_each():
    costs = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(TopK(2).solve_near(costs, torch.full_like(costs, torch.nan)), TopK(2)(costs))
    with pytest.raises(SolverInputError, match=r"TopK: near has shape \(4, 4\)"):
        TopK(2).solve_near(costs, costs[:, :4])
    with pytest.raises(SolverInputError, match="near has shape list"):
        TopK(2).solve_near(costs, [1])


@pytest.mark.parametrize("wrong", [{"a": 1}, torch.ones(2, 3, dtype=torch.bool)])
def test_what_is_no_instances_is_refused(wrong):
    with pytest.raises(SolverInputError, match=r"pass Instances\(\.\.\.\), or what describes them"):
        TopK(1)(torch.rand(2, 3), wrong)
