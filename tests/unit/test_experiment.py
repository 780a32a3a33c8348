"""What an experiment's step may give, and how it becomes the means of an epoch."""

import pytest
import torch

from combgrad.experiments.base import Experiment
from combgrad.experiments.rates import drops
from combgrad.gradients import Identity
from combgrad.layer import CombinatorialLayer
from combgrad.solvers import TopK

ROWS = 4


class Simple(Experiment):
    """Answers with what it is given."""

    def __init__(self, answer):
        super().__init__(torch.nn.Linear(1, 1), CombinatorialLayer(TopK(1), Identity()), None)
        self.answer = answer

    def step(self, batch, stage):
        return self.answer


def batch():
    return {"x": torch.zeros(ROWS, 2)}


@pytest.mark.parametrize(
    ("loss", "value", "said"),
    [
        (torch.zeros(()), torch.zeros(()), r"'ratio' of shape \(\); .* of shape \(4,\)"),
        (torch.zeros(()), torch.zeros(1), r"'ratio' of shape \(1,\); .* of shape \(4,\)"),
        (torch.zeros(()), torch.zeros(ROWS, 1), r"'ratio' of shape \(4, 1\)"),
        (torch.zeros(()), 0.5, "'ratio' of shape float"),
        (torch.zeros(ROWS), torch.zeros(ROWS), r"'loss' of shape \(4,\); .*mean.* of shape \(\)"),
    ],
)
def test_a_loss_or_metric_of_another_shape_is_refused_by_its_name(loss, value, said):
    experiment = Simple((loss, {"ratio": value}))
    with pytest.raises(ValueError, match=rf"Simple\.step\('val'\) gives {said}"):
        experiment.validation_step(batch(), 0)


def test_one_number_for_each_instance_is_right():
    Simple((torch.zeros(()), {"ratio": torch.ones(ROWS)})).validation_step(batch(), 0)


@pytest.mark.parametrize("wrong", [[torch.zeros(ROWS)], torch.zeros(ROWS), (1, 2)])
def test_a_batch_that_is_no_dict_is_refused_with_what_it_should_be(wrong):
    experiment = Simple((torch.zeros(()), {}))
    said = rf"a batch is of type {type(wrong).__name__}; .*dicts of tensors"
    with pytest.raises(ValueError, match=said):
        experiment.training_step(wrong, 0)


@pytest.mark.parametrize(("at", "factor"), [(["a"], 0.1), ([0.5], "b"), ([None], 0.1)])
def test_a_schedule_of_other_things_than_numbers_is_refused(at, factor):
    with pytest.raises(ValueError, match="give numbers"):
        drops(at, factor)
