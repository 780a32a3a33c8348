"""Within a run numbers next to 0 are 0, for they make a processor slow."""

import pytest
import torch

from combgrad.gradients import SoftSub
from combgrad.layer import CombinatorialLayer
from combgrad.runs.configuration import compose
from combgrad.runs.run import prepared_process
from combgrad.solvers import TopK

SMALLEST = torch.finfo(torch.float32).tiny


def product() -> float:
    return float(torch.tensor(SMALLEST) * torch.tensor(0.25))


def test_they_are_zero_in_a_run_and_ordinary_after_it():
    config = compose(["experiment=tsp5", "profile=smoke"])
    assert 0 < product() < SMALLEST
    with prepared_process(config):
        assert product() == 0.0
    assert 0 < product() < SMALLEST
    with pytest.raises(RuntimeError, match="of the run"), prepared_process(config):
        raise RuntimeError("of the run")
    assert 0 < product() < SMALLEST


def test_answers_and_gradients_of_a_soft_choice_are_the_same_with_them_and_without():
    def both() -> tuple[torch.Tensor, torch.Tensor]:
        method = SoftSub(tau=0.1, generator=torch.Generator().manual_seed(0))
        layer = CombinatorialLayer(TopK(3), method).train()
        costs = torch.linspace(-9, 9, 60).view(2, 30).requires_grad_()
        chosen = layer(costs)
        (chosen * torch.arange(30)).sum().backward()
        assert costs.grad is not None
        return chosen.detach(), costs.grad

    chosen, gradient = both()
    assert bool(((gradient != 0) & (gradient.abs() < SMALLEST)).any())
    with prepared_process(compose(["experiment=tsp5", "profile=smoke"])):
        flushed_chosen, flushed_gradient = both()
        assert not bool(((flushed_gradient != 0) & (flushed_gradient.abs() < SMALLEST)).any())
    torch.testing.assert_close(flushed_chosen, chosen, rtol=0, atol=float(SMALLEST))
    # Up to 30 / tau times what was taken for 0.
    torch.testing.assert_close(flushed_gradient, gradient, rtol=1e-6, atol=1e-35)
