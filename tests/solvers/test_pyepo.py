"""The adapter to PyEPO's models, without PyEPO: what it asks of a model and what it refuses."""

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
