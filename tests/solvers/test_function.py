"""Plain functions of one instance become solvers, with and without worker processes."""

import gc
import importlib
import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import IncompatibleError, SolverFailedError, SolverInputError
from combgrad.gradients import Identity
from combgrad.projections import Std
from combgrad.solvers.base import Trait
from combgrad.solvers.function import from_function

# Workers import it by name, which they cannot do with a test.
MODULE = '''
import os
import sys

import numpy as np

ANSWERS = {
    "shape": lambda costs: np.zeros(costs.size + 1),
    "nan": lambda costs: costs * np.nan,
    "words": lambda costs: ["many", "words"],
    "nothing": lambda costs: None,
}


class Fussy(Exception):
    """Cannot be rebuilt from its pickle."""

    def __init__(self, first, second):
        super().__init__(first + second)


def signs(costs):
    costs[costs == 0] = 1.0
    return (costs < 0).astype(float)


def scaled(costs, weights, power=1.0, names=None):
    assert isinstance(weights, np.ndarray)
    return weights * costs.shape[0] ** power + len(names or "")


def picky(costs):
    if costs[0] > 2:
        raise KeyError("no such road")
    return costs


def fussy(costs):
    raise Fussy("very ", "fussy")


def crash(costs):
    os._exit(3)


def leave(costs):
    if costs[0] > 2:
        sys.exit(3)
    return costs


def spoil(costs, weights):
    weights[:] = 0.0
    return costs


class Power:
    def __init__(self, power):
        self.power = power

    def __call__(self, costs):
        return costs**self.power


def process(costs):
    return np.full(costs.shape, float(os.getpid()))


def answer(costs, kind):
    return ANSWERS[kind](costs)


def call(costs, name, **instance):
    return globals()[name](costs, **instance)
'''
here_and_there = pytest.mark.parametrize("solver", [0, 1], ids=["here", "pool"], indirect=True)


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    (folder / "functions_of_the_test.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("functions_of_the_test")
        patch.delitem(sys.modules, "functions_of_the_test")


@pytest.fixture(scope="module")
def solver(functions, request):
    """A solver that calls the function of a given name; one pool serves all tests."""
    return from_function(functions.call, processes=request.param, batched=("weights",))


@here_and_there
def test_it_answers_each_instance(solver):
    costs = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(0))
    costs[0, 0, 0] = 0.0
    original = costs.clone()
    for batch in (costs, costs.double(), costs[:1]):
        assert torch.equal(solver(batch, name="signs"), (batch < 0).to(batch.dtype))
    assert torch.equal(costs, original)
    assert solver(costs[:0]).shape == (0, 2, 3)


@here_and_there
def test_keyword_arguments_reach_their_instance(solver):
    costs = torch.rand(4, 3)
    weights = torch.arange(12.0).reshape(4, 3)
    assert torch.equal(solver(costs, name="scaled", weights=weights), weights * 3)
    squared = solver(costs, name="scaled", weights=weights.numpy(), power=2)
    assert torch.equal(squared, weights * 9)
    listed = [row.numpy() for row in weights]
    assert torch.equal(solver(costs, name="scaled", weights=listed, names="ab"), weights * 3 + 2)
    before = weights.clone()
    assert torch.equal(solver(costs, name="spoil", weights=weights), costs)
    assert torch.equal(weights, before)
    for wrong, found in ((weights[:3], "has 3 entries for 4"), (1.0, "has one .* float has none")):
        with pytest.raises(SolverInputError, match=f"'weights' {found}"):
            solver(costs, name="scaled", weights=wrong)


@pytest.mark.parametrize("weights", [torch.ones(3), np.ones(3)], ids=["tensor", "array"])
def test_whether_all_share_an_array_is_said_and_not_guessed(functions, weights):
    costs = torch.rand(3, 3, dtype=torch.float64)
    expected = costs * 2

    def heavier(costs, weights):
        return costs * (1 + np.asarray(weights))

    unsaid = from_function(heavier)
    with pytest.raises(SolverInputError, match=r"batched=\('weights',\).*batched=\(\) where all"):
        unsaid(costs, weights=weights)
    assert torch.equal(unsaid(costs[:2], weights=weights), expected[:2])
    assert torch.equal(from_function(heavier, batched=())(costs, weights=weights), expected)
    assert torch.equal(
        from_function(heavier, batched=["weights"])(costs, weights=weights), expected
    )
    with pytest.raises(ValueError, match="as a tuple"):
        from_function(heavier, batched="weights")


@here_and_there
def test_an_exception_names_the_batch_index_and_keeps_its_cause(solver):
    costs = torch.ones(20, 2)
    costs[13] = 3.0
    with pytest.raises(SolverFailedError, match=r"call.* batch index 13 .*KeyError") as caught:
        solver(costs, name="picky")
    assert isinstance(caught.value.__cause__, KeyError)
    assert torch.equal(solver(costs[:13], name="picky"), costs[:13])


@here_and_there
def test_a_function_that_ends_the_script_is_named_instead(solver):
    costs = torch.ones(20, 2)
    costs[13] = 3.0
    with pytest.raises(SolverFailedError, match=r"batch index 13 with SystemExit: 3"):
        solver(costs, name="leave")
    assert torch.equal(solver(costs[:13], name="leave"), costs[:13])


@here_and_there
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape", r"shape \(4,\)"),
        ("nan", "NaN or inf"),
        ("words", "ValueError"),
        ("nothing", "returned None, as a function without `return` does"),
    ],
)
def test_wrong_answers_are_refused(solver, kind, message):
    with pytest.raises(SolverFailedError, match=message) as caught:
        solver(torch.rand(2, 3), name="answer", kind=kind)
    assert "batch index 0" in str(caught.value)


@pytest.mark.parametrize("solver", [1], indirect=True)
def test_an_exception_that_cannot_travel_is_described(solver):
    with pytest.raises(SolverFailedError, match="very fussy") as caught:
        solver(torch.rand(2, 3), name="fussy")
    assert "in a worker process" in caught.value.__cause__.__notes__[0]


@pytest.mark.parametrize("solver", [1], indirect=True)
def test_a_dead_worker_is_reported_and_replaced(solver):
    costs = torch.ones(1, 2)
    with pytest.raises(SolverFailedError, match="died"):
        solver(costs, name="crash")
    assert torch.equal(solver(costs, name="picky"), costs)


def test_a_copy_has_workers_of_its_own_until_it_goes(functions):
    original = from_function(functions.process, traits=set(Trait), processes=1)
    solver = pickle.loads(pickle.dumps(original))
    assert solver.traits == set(Trait)
    costs = torch.rand(5, 1, dtype=torch.float64)
    workers = set(solver(costs).flatten().tolist()) | set(solver(costs).flatten().tolist())
    assert len(workers) == 1
    assert os.getpid() not in workers
    processes = list(solver._pool.executor._processes.values())
    del solver
    gc.collect()
    for process in processes:
        process.join(20)
        assert not process.is_alive()


def test_workers_know_the_function_as_it_is_now(functions):
    solver = from_function(functions.Power(2.0), processes=1)
    costs = torch.rand(2, 3, dtype=torch.float64)
    torch.testing.assert_close(solver(costs), costs**2)
    solver.f.power = 3.0
    torch.testing.assert_close(solver(costs), costs**3)


def test_functions_and_numbers_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="top of a module"):
        from_function(lambda costs: costs, processes=1)
    with pytest.raises(ValueError, match="processes"):
        from_function(np.sign, processes=-1)
    with pytest.raises(SolverInputError, match="batch index 1"):
        from_function(np.sign)(torch.tensor([[1.0], [torch.nan]]))
    assert from_function(np.sign).traits == frozenset()


def test_errors_name_the_function():
    def cheapest(costs):
        return costs

    solver = from_function(cheapest)
    for costs, message in [
        (torch.tensor([[1.0], [torch.inf]]), "costs of batch index 1 contain NaN or inf"),
        (torch.ones(3), "the first axis is the batch"),
        (torch.ones(2, 3, dtype=torch.int64), "costs have dtype torch.int64"),
    ]:
        with pytest.raises(SolverInputError, match=rf"^from_function\(cheapest\): .*{message}"):
            solver(costs)
    with pytest.raises(IncompatibleError, match=r"and from_function\(cheapest\) is not .*Trait"):
        CombinatorialLayer(solver, Identity(), Std())


def test_an_answer_beyond_the_dtype_of_the_costs_is_refused():
    solver = from_function(lambda costs: 1e6 * costs)
    costs = torch.tensor([[0.0], [1.0]])
    assert solver(costs).tolist() == [[0.0], [1e6]]
    with pytest.raises(SolverInputError, match=r"batch index 1 .* torch.float16 cannot hold"):
        solver(costs.half())


def test_a_function_of_a_notebook_is_refused_where_other_processes_are_to_know_it(monkeypatch):
    notebook = types.ModuleType("__main__")
    exec("def f(costs):\n    return costs", notebook.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    with pytest.raises(ValueError, match=r"typed into a notebook .* put it into a module"):
        from_function(notebook.f, processes=1)
    costs = torch.rand(2, 3)
    assert torch.equal(from_function(notebook.f)(costs), costs)
