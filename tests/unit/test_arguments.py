"""What parts may be made with."""

import numpy as np
import pytest
import torch

from combgrad.gradients import IMLE, Blackbox, Perturbed
from combgrad.margins import NoiseMargin
from combgrad.sampling import Gumbel
from combgrad.solvers import TSP, TopK


def test_numbers_of_numpy_are_numbers():
    costs = torch.tensor([[3.0, 1.0, 2.0]])
    for k in np.arange(4):
        assert torch.equal(TopK(k)(costs), TopK(int(k))(costs))
    assert repr(TopK(np.int64(2))) == "TopK(k=2)"
    assert repr(Perturbed(np.float32(0.5), np.int64(3))) == "Perturbed(sigma=0.5, samples=3)"
    assert repr(Blackbox(np.float32(2))) == "Blackbox(lam=2.0)"
    assert repr(NoiseMargin(np.float32(0.5))) == "NoiseMargin(alpha=0.5)"
    made = IMLE(5.0, Gumbel(), samples=np.int64(4))
    assert made.samples == 4
    assert TSP(time_limit=np.float32(9))(torch.ones(1, 3)).tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("value", [True, np.True_, np.float64(2), "2", None, np.int64(0)])
def test_what_is_no_count_is_none_of_numpy_either(value):
    with pytest.raises(ValueError, match=r"grad\.samples is .*; it must be a whole number"):
        Perturbed(0.5, value)
    if value != 0:
        with pytest.raises(ValueError, match=r"^k is .*; the number of entries"):
            TopK(value)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, np.float32("nan"), np.float64(-1)])
def test_what_is_no_number_is_none_of_numpy_either(value):
    with pytest.raises(ValueError, match=r"margin\.alpha is .*; it must be finite and at least 0"):
        NoiseMargin(value)
    if value is not None:
        with pytest.raises(ValueError, match="positive number of seconds"):
            TSP(time_limit=value)
