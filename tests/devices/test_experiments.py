"""One step of every kind of experiment on another device: the loss and gradients of the CPU."""

import copy

import pytest
import torch
from lightning_fabric.utilities.apply_func import move_data_to_device

from combgrad.runs.configuration import compose, resolved
from combgrad.runs.parts import build

CPU = torch.device("cpu")

#: With data that the project brings, or makes up.
EXPERIMENTS = {
    "tsp5": "experiment=tsp5",
    "warcraft": "experiment=warcraft12",
    "warcraft_direct": "experiment=warcraft12_direct",
    "dvae": "experiment=dvae",
    "l2x": "experiment=l2x_k5",
    "matching": "experiment=matching",
    "retrieval": "experiment=retrieval",
    "bags": "experiment=bags_b4",
    "headline": "experiment=headline",
    "paths": "experiment=pto_shortest_path loss=spo_plus",
    "knapsack": "experiment=pto_knapsack loss=regret grad=blackbox",
    "schedule": "experiment=pto_energy_scheduling data=pto_energy_scheduling_stand_in",
    "sushi": "experiment=pto_sushi data=pto_sushi_stand_in loss=listwise_ranking",
    "mazes": "experiment=mazes data=mazes_stand_in loss=fenchel_young",
}

#: They draw noise in a step, and a card draws another.
NOISY = ("dvae", "l2x", "mazes")


def prepared(words, folder):
    asked = ["profile=smoke", "logger=none", "pictures=false", f"paths.root={folder}"]
    parts = build(resolved(compose([*words.split(), *asked])))
    parts.data.prepare_data()
    parts.data.setup("fit")
    return parts.experiment, parts.data


def step(experiment, data, batch, device):
    """The loss and the gradients of a step of training, on the CPU again."""
    experiment.prepare(data)
    experiment = experiment.to(device).train()
    torch.manual_seed(0)
    loss, values = experiment.step(move_data_to_device(batch, device), "train")
    loss.backward()
    assert {value.device.type for value in (loss, *values.values())} == {device.type}
    grads = {n: p.grad for n, p in experiment.named_parameters() if p.grad is not None}
    assert {gradient.device.type for gradient in grads.values()} == {device.type}
    return loss.detach().cpu(), {name: gradient.cpu() for name, gradient in grads.items()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_step_has_the_gradients_of_the_cpu(name, device, tmp_path):
    if device.type == "pretended" and name == "headline":
        pytest.skip("cards have kernels of their own for recurrent networks")
    experiment, data = prepared(EXPERIMENTS[name], tmp_path)
    batch = next(iter(data.train_dataloader()))
    loss, grads = step(copy.deepcopy(experiment), data, batch, CPU)
    assert grads
    found, others = step(experiment, data, batch, device)
    if device.type == "cuda" and name in NOISY:
        return
    torch.testing.assert_close((found, others), (loss, grads), rtol=1e-3, atol=1e-5)
