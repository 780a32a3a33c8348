"""The soft alignment: all paths walked, a plain loop by autograd, differences, and extremes."""

import math
import warnings

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.gradients import Identity
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import OptimalValue, SoftAlignment
from combgrad.solvers import Alignment, TiedAlignment

GAP = 1.5
STEPS = ((1, 1, 1.0), (0, 1, GAP), (1, 0, GAP))


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def soft(costs, temperature=0.7, instances=None, solver=None):
    layer = CombinatorialLayer(solver or TiedAlignment(GAP), Identity())
    return SoftAlignment(temperature)(layer, costs, Labels(), instances).loss


def all_costs(costs, i=0, j=0):
    """The cost of every path through match costs (n, m), as nested lists."""
    n, m = len(costs), len(costs[0])
    if (i, j) == (n, m):
        return [0.0]
    price = costs[min(i, n - 1)][min(j, m - 1)]
    return [
        factor * price + rest
        for down, right, factor in STEPS
        if i + down <= n and j + right <= m
        for rest in all_costs(costs, i + down, j + right)
    ]


def plain_loop(costs, temperature):
    """The same by torch's logsumexp, cell by cell, for its derivative."""
    batch, n, m = costs.shape
    table = {(n, m): costs.new_zeros(batch)}
    for i in range(n, -1, -1):
        for j in range(m, -1, -1):
            if (i, j) != (n, m):
                price = costs[:, min(i, n - 1), min(j, m - 1)]
                ways = [
                    factor * price + table[i + down, j + right]
                    for down, right, factor in STEPS
                    if i + down <= n and j + right <= m
                ]
                table[i, j] = -temperature * (-torch.stack(ways) / temperature).logsumexp(dim=0)
    return table[0, 0].mean()


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 2), (3, 4)])
def test_it_is_the_sum_over_all_alignments(shape):
    costs, tau = random(2, *shape) - 0.3, 0.7
    expected = 0.0
    for row in costs.tolist():
        weights = [math.exp(-cost / tau) for cost in all_costs(row)]
        expected += -tau * math.log(math.fsum(weights)) / 2
    assert float(soft(costs, tau)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("tau", [0.05, 1.0, 30.0])
def test_value_and_gradient_are_those_of_a_plain_loop_and_of_differences(tau):
    costs, step = random(3, 5, 6), 1e-5
    found, wanted = (costs.clone().requires_grad_() for _ in range(2))
    value, expected = soft(found, tau), plain_loop(wanted, tau)
    value.backward()
    expected.backward()
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found.grad, wanted.grad)
    along = random(3, 5, 6, seed=1) - 0.5
    slope = (soft(costs + step * along, tau) - soft(costs - step * along, tau)) / (2 * step)
    assert float(slope) == pytest.approx(float((found.grad * along).sum()), abs=1e-8)


def test_a_transform_of_torch_func_is_refused():
    with pytest.raises(SolverInputError, match=r"SoftAlignment: costs are inside .*autograd.grad"):
        torch.func.grad(soft)(random(2, 3, 4))


def test_it_lies_below_the_value_by_at_most_the_entropy_and_becomes_it():
    costs = random(4, 5, 5)
    layer = CombinatorialLayer(TiedAlignment(GAP), Identity())
    hard = costs.clone().requires_grad_()
    best = OptimalValue()(layer, hard, Labels()).loss
    best.backward()
    paths = len(all_costs(costs[0].tolist()))
    for tau in (1.0, 0.1):
        gap = float(best.detach() - soft(costs, tau))
        assert 0 < gap <= tau * math.log(paths)
    cold = costs.clone().requires_grad_()
    value = soft(cold, 1e-9)
    value.backward()
    torch.testing.assert_close(value.detach(), best.detach())
    torch.testing.assert_close(cold.grad, hard.grad)
    loss = SoftAlignment(1.0).eval()
    assert float(loss(layer, costs, Labels()).loss) == float(best.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tau", [1e-30, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_no_length_size_or_temperature_overflows(dtype, tau, size):
    costs = ((random(1, 300, 280) - 0.2) * size).to(dtype).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value = soft(costs, tau)
        value.backward()
    assert value.dtype == dtype
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(costs.grad).all())
    assert 280 <= float(costs.grad.sum()) <= GAP * 580 + 1e-3


def test_lengths_and_masks_are_as_each_alone():
    costs, lengths = random(3, 4, 5), torch.tensor([[4, 5], [1, 3], [2, 1]])
    valid = torch.zeros(3, 4, 5, dtype=torch.bool)
    full = costs.clone()
    alone = []
    for row, (n, m) in enumerate(lengths.tolist()):
        valid[row, :n, :m] = True
        full[row, n:], full[row, :, m:] = torch.nan, torch.nan
        alone.append(soft(costs[row : row + 1, :n, :m]))
    by_mask = full.requires_grad_()
    value = soft(by_mask, instances=Instances(valid=valid))
    value.backward()
    torch.testing.assert_close(value, torch.stack(alone).mean())
    assert float(by_mask.grad[~valid].abs().max()) == 0
    by_lengths = soft(costs, instances=Instances({"lengths": lengths}))
    torch.testing.assert_close(by_lengths, value)
    narrow = torch.minimum(lengths, torch.tensor([3, 2]))
    both = soft(costs, instances=Instances({"lengths": narrow}, valid=valid))
    torch.testing.assert_close(both, soft(costs, instances=Instances({"lengths": narrow})))


def test_what_it_cannot_weigh_is_refused():
    with pytest.raises(IncompatibleError, match="solver is Alignment; use solver=tied_alignment"):
        soft(random(1, 3, 3, 3), solver=Alignment())
    with pytest.raises(ValueError, match=r"loss\.temperature is 0"):
        SoftAlignment(0)
    costs = random(2, 3, 3)
    costs[1, 0, 0] = torch.inf
    with pytest.raises(SolverInputError, match="batch index 1 contain NaN or inf"):
        soft(costs)
    valid = torch.ones(1, 3, 3, dtype=torch.bool)
    valid[0, 0, 0] = False
    with pytest.raises(SolverInputError, match="batch index 0 are no block"):
        soft(random(1, 3, 3), instances=Instances(valid=valid))
