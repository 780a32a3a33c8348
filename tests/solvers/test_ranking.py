"""Ranking gives rank 1 to the largest cost, the smaller rank to the lower index among equals."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import SolverInputError
from combgrad.solvers.ranking import Ranking, ranks_by_sorting

costs_of_any_sign = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-2, 2).map(float),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300]),
)


def expected(row):
    """Python's sort is stable, also in reverse, and holds -0.0 equal to 0.0."""
    order = sorted(range(len(row)), key=lambda i: row[i], reverse=True)
    ranks = [0.0] * len(row)
    for place, i in enumerate(order):
        ranks[i] = place + 1.0
    return ranks


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


@given(row=st.lists(costs_of_any_sign, min_size=1, max_size=60))
def test_it_is_a_stable_sort(row):
    costs = torch.tensor([row], dtype=torch.float64)
    assert Ranking()(costs).tolist() == [expected(row)]
    assert ranks_by_sorting(costs).tolist() == [expected(row)]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_it_is_the_best_of_all_permutations(n):
    costs = random(40, n, seed=n)
    permutations = torch.tensor(list(itertools.permutations(range(1, n + 1))), dtype=costs.dtype)
    best = permutations[(costs @ permutations.T).argmin(dim=1)]
    assert torch.equal(Ranking()(costs), best)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 7, 127, 255])
def test_every_size_and_dtype_agrees_with_sorting(dtype, n):
    costs = random(20, n, seed=n, dtype=dtype)
    costs[10:15] = costs[10:15].round()
    ranks = Ranking()(costs)
    assert ranks.dtype == dtype
    assert torch.equal(ranks, ranks_by_sorting(costs))
    assert bool(Ranking().feasible(ranks).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [24, 25, 200, 3000, 2**14 + 1])
def test_whatever_the_spread_of_a_row_the_ranks_are_those_of_sorting(dtype, n):
    """Rows that levels of their size tell apart, and rows that they do not."""
    limits = torch.finfo(dtype)
    costs = random(9, n, seed=n, dtype=dtype)
    costs[0] /= random(n, seed=1, dtype=dtype)
    costs[1, n // 2] = limits.max / 2
    costs[2] = costs[2].exp().exp().clamp(max=limits.max)
    costs[3, ::2] = -limits.max
    costs[3, 1::2] = limits.max
    costs[4] = costs[4].sort().values
    costs[5] *= limits.smallest_normal
    costs[6] = costs[6].round().clamp(0, 1)
    costs[7, :-3] = 1 + costs[7, :-3] * limits.eps
    costs[8] = 0.5
    assert torch.equal(Ranking()(costs), ranks_by_sorting(costs))
    assert torch.equal(Ranking(normalised=True)(costs), ranks_by_sorting(costs) / n)


def test_ranks_beyond_the_dtype_are_refused():
    with pytest.raises(SolverInputError, match="counts to 256"):
        Ranking()(torch.zeros(1, 257, dtype=torch.bfloat16))
    assert float(Ranking()(torch.zeros(1, 2048, dtype=torch.float16)).max()) == 2048


def test_the_two_zeros_are_equal():
    costs = torch.tensor([[0.0, -0.0, 0.0, -0.0]])
    assert Ranking()(costs).tolist() == [[1, 2, 3, 4]]
    assert ranks_by_sorting(costs).tolist() == [[1, 2, 3, 4]]


def test_empty_batches_and_rows():
    assert Ranking()(torch.zeros(0, 5)).shape == (0, 5)
    assert Ranking()(torch.zeros(3, 0)).shape == (3, 0)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(scale):
    costs = random(20, 15)
    assert torch.equal(Ranking()(costs * scale), Ranking()(costs))


def test_matrices_are_refused():
    with pytest.raises(SolverInputError, match="flatten"):
        Ranking()(torch.rand(2, 5, 5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_tensor_gets_the_same_answer():
    costs = random(40, 50).round()
    assert torch.equal(Ranking()(costs.cuda()).cpu(), Ranking()(costs))
