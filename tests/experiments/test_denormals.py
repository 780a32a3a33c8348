"""Optimizers' numbers too small to move a weight: dropped, without a change of any weight."""

import copy
from types import SimpleNamespace

import pytest
import torch

from combgrad.experiments.denormals import EVERY, WithoutDenormals, drop_denormals
from combgrad.runs.configuration import compose, resolved
from combgrad.runs.parts import build

LEAST = 2.0**-126


def faded(optimizer, steps):
    """Weights of which half had a gradient in the first step only, and their optimizer."""
    weights = torch.linspace(-1.0, 1.0, 8, requires_grad=True)
    made = optimizer([weights])
    for step in range(steps):
        weights.grad = torch.ones(8)
        weights.grad[4:] = 1e-5 if step == 0 else 0.0
        made.step()
    return weights, made


def denormal(value):
    return (value != 0) & (value.abs() < LEAST)


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (lambda weights: torch.optim.Adam(weights, lr=1e-3), "exp_avg"),
        (lambda weights: torch.optim.SGD(weights, lr=1e-3, momentum=0.9), "momentum_buffer"),
    ],
    ids=["adam", "sgd"],
)
def test_what_fades_is_dropped_and_no_weight_notices(optimizer, name):
    weights, made = faded(optimizer, 1500)
    kept, dropped = copy.deepcopy((weights, made)), (weights, made)
    before = made.state[weights][name].clone()
    assert denormal(before).tolist() == [False] * 4 + [True] * 4
    drop_denormals(made)
    after = made.state[weights][name]
    assert torch.equal(after[:4], before[:4])
    assert after[4:].tolist() == [0.0] * 4
    gradient = torch.linspace(1e-3, 1.0, 8)
    for w, stepping in (kept, dropped):
        for _ in range(5):
            w.grad = gradient.clone()
            stepping.step()
    assert torch.equal(kept[0], dropped[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_numbers_that_are_not_slow_stay(dtype):
    value = torch.tensor([1, 3]).to(dtype)
    value = value / 2**15 if dtype == torch.float16 else value
    optimizer = SimpleNamespace(state={"w": {"moment": value.clone(), "step": 3}})
    drop_denormals(optimizer)
    assert torch.equal(optimizer.state["w"]["moment"], value)


def test_a_run_looks_every_hundred_steps(tmp_path):
    words = ["experiment=tsp5", "profile=smoke", "logger=none", f"paths.root={tmp_path}"]
    trainer = build(resolved(compose(words))).trainer
    (callback,) = (each for each in trainer.callbacks if isinstance(each, WithoutDenormals))
    _, made = faded(lambda weights: torch.optim.Adam(weights), 1500)
    (moments,) = (state["exp_avg"] for state in made.state.values())
    for step, left in ((EVERY - 1, 4), (EVERY, 0)):
        callback.on_train_batch_end(SimpleNamespace(global_step=step, optimizers=[made]))
        assert int(denormal(moments).sum()) == left
