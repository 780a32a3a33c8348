"""The adapter to PyEPO's models, without PyEPO: what it asks of a model and what it refuses."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from combgrad.errors import IncompatibleError, SolverFailedError
from combgrad.solvers import TopK, from_pyepo


class Model:
    """Three of six, as an optModel that minimises costs or maximises values."""

    c_pred_index = None

    def __init__(self, sense):
        self.modelSense = sense

    def setObj(self, c):
        assert len(c) == 6
        self.c = np.asarray(c)

    def solve(self):
        chosen = np.argsort(self.modelSense * self.c)[:3]
        solution = np.isin(np.arange(6), chosen).astype(float)
        return solution.tolist(), float(solution @ self.c)


@pytest.mark.parametrize("sense", [1, -1])
def test_it_minimises_the_costs_whatever_the_sense_of_the_model(sense):
    costs = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_pyepo(Model(sense), TopK.traits)(costs), TopK(3)(costs))


def test_threads_that_share_a_model_do_not_solve_each_others_costs():
    class Slow(Model):
        def setObj(self, c):
            super().setObj(c)
            time.sleep(1e-3)  # in which another thread would set its own

    solver = from_pyepo(Slow(1))
    costs = torch.rand(4, 20, 6, generator=torch.Generator().manual_seed(0))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(solver, costs))
    for rows, answers in zip(costs, found, strict=True):
        assert torch.equal(answers, TopK(3)(rows))


def test_costs_of_another_number_are_blamed_on_their_instance():
    with pytest.raises(SolverFailedError, match=r"from_function\(Model\) failed for batch index 0"):
        from_pyepo(Model(1))(torch.zeros(2, 5))


def test_what_is_no_model_is_refused():
    for wrong in (Model, object(), None):
        with pytest.raises(IncompatibleError, match="pass an instance of an optModel"):
            from_pyepo(wrong)
    model = Model(1)
    model.c_pred_index = [0, 1]
    with pytest.raises(IncompatibleError, match="let it predict all of them"):
        from_pyepo(model)


def compiled(predicted=6, fixed=0.0, quadratic=None):
    """What PyEPO's language makes: it names the predicted costs, be it all."""
    model = Model(1)
    model.c_pred_index = np.arange(predicted)
    fixed_cost = np.array([0.0] * 5 + [fixed])
    model.problem = SimpleNamespace(num_vars=6, fixed_cost=fixed_cost, obj_Q=quadratic)
    return model


def test_a_compiled_model_that_predicts_all_of_its_costs_is_taken():
    costs = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(from_pyepo(compiled())(costs), TopK(3)(costs))


@pytest.mark.parametrize("model", [compiled(4), compiled(fixed=1.0), compiled(quadratic=np.eye(6))])
def test_a_compiled_model_with_costs_of_its_own_is_refused(model):
    with pytest.raises(IncompatibleError, match="let it predict all of them"):
        from_pyepo(model)
