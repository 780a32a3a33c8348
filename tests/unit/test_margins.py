"""Margins perturb by exactly what they promise, when they promise it."""

import pytest
import torch

from combgrad.margins import InformedMargin, NoiseMargin


def test_two_point_noise_takes_both_values_equally_often():
    torch.manual_seed(0)
    offsets = NoiseMargin(0.2)(torch.zeros(100, 1000))
    torch.testing.assert_close(offsets.unique(), torch.tensor([-0.1, 0.1]))
    share = float((offsets > 0).double().mean())
    assert abs(share - 0.5) < 5 * 0.5 / 100_000**0.5
    assert float(offsets.abs().mean()) == pytest.approx(0.1)


def test_uniform_noise_fills_the_interval():
    torch.manual_seed(0)
    offsets = NoiseMargin(0.2, distribution="uniform")(torch.zeros(100, 1000, dtype=torch.float64))
    assert float(offsets.abs().max()) <= 0.1
    assert float(offsets.abs().mean()) == pytest.approx(0.05, rel=0.02)
    assert float(offsets.var()) == pytest.approx(0.2**2 / 12, rel=0.02)


def test_noise_is_fresh_and_passes_the_gradient_through():
    costs = torch.zeros(2, 50, requires_grad=True)
    margin = NoiseMargin(0.5)
    first, second = margin(costs), margin(costs)
    assert not torch.equal(first, second)
    first.sum().backward()
    torch.testing.assert_close(costs.grad, torch.ones(2, 50))


def test_informed_margin_equals_the_formula():
    costs = torch.tensor([[1.0, 2.0, 3.0]])
    target = torch.tensor([[1.0, 0.0, 1.0]])
    alpha = 0.4
    expected = costs + alpha / 2 * target - alpha / 2 * (1 - target)
    torch.testing.assert_close(InformedMargin(alpha)(costs, target), expected)
    with pytest.raises(ValueError, match=r"needs true solutions.*NoiseMargin"):
        InformedMargin(alpha)(costs)
    with pytest.raises(ValueError, match=r"needs true solutions.*NoiseMargin"):
        InformedMargin(alpha)(costs, target[:, :2])


def test_a_target_that_is_not_finite_is_no_fault_of_the_network():
    target = torch.tensor([[1.0, 0.0, float("nan")]])
    with pytest.raises(ValueError, match="InformedMargin: the target holds NaN"):
        InformedMargin(0.4)(torch.ones(1, 3), target)
    used = torch.tensor([[True, True, False]])
    answer = InformedMargin(0.4)(torch.ones(1, 3), target, used)
    torch.testing.assert_close(answer, torch.tensor([[1.2, 0.8, 1.0]]))


@pytest.mark.parametrize(
    ("until", "last_active"),
    [(None, 9), (0.5, 4), (0.01, 0), (3, 2), (3.0, 2), (2, 1), (0, -1), (0.0, -1), (99, 9)],
)
def test_schedule_ends_where_it_says(until, last_active):
    margin = NoiseMargin(0.1, until=until)
    active = []
    for epoch in range(10):
        margin.set_epoch(epoch, 10)
        active.append(margin.active)
    assert active == [epoch <= last_active for epoch in range(10)]


def test_a_fraction_that_makes_whole_epochs_ends_after_these():
    for hundredths in range(1, 100):
        for epochs in (20, 25, 50, 75, 100, 175):
            margin = NoiseMargin(0.1, until=hundredths / 100)
            active = 0
            for epoch in range(epochs):
                margin.set_epoch(epoch, epochs)
                active += margin.active
            assert active == -(-hundredths * epochs // 100)


def test_one_is_the_whole_training_however_it_is_written():
    for until in (1, 1.0):
        margin = NoiseMargin(0.1, until=until)
        for epoch in range(10):
            margin.set_epoch(epoch, 10)
            assert margin.active


@pytest.mark.parametrize("until", [1.5, -1, -0.1, float("inf"), float("nan"), "0.5", True, [1]])
def test_an_end_that_is_neither_a_fraction_nor_a_number_of_epochs_is_refused(until):
    with pytest.raises(ValueError, match=r"margin\.until is .* from 0 to 1, a whole number of ep"):
        NoiseMargin(0.1, until=until)


def test_no_margin_at_evaluation_or_with_alpha_zero():
    costs = torch.randn(2, 4)
    margin = NoiseMargin(0.3)
    margin.eval()
    assert margin(costs) is costs
    margin.train()
    assert margin(costs) is not costs
    assert NoiseMargin(0.0)(costs) is costs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": -1}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"alpha": 1, "distribution": "normal"}, "two_point"),
        ({"alpha": 1, "position": "inside"}, "before"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NoiseMargin(**arguments)
