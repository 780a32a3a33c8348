"""TopK marks exactly k smallest costs, the lower index first among equals."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import SolverInputError
from combgrad.solvers.topk import TopK, smallest_by_sorting

costs_of_any_sign = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-2, 2).map(float),
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e300, -1e300]),
)


def expected(row, k):
    """Python's sort is stable and holds -0.0 equal to 0.0."""
    taken = sorted(range(len(row)), key=lambda i: row[i])[:k]
    return [float(i in taken) for i in range(len(row))]


def random(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


@given(row=st.lists(costs_of_any_sign, min_size=1, max_size=80), data=st.data())
def test_it_takes_the_first_k_of_a_stable_sort(row, data):
    k = data.draw(st.integers(0, len(row)))
    costs = torch.tensor([row], dtype=torch.float64)
    solution = TopK(k)(costs)
    assert solution.tolist() == [expected(row, k)]
    assert torch.equal(smallest_by_sorting(costs, k), solution)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (20, 10), (25, 24), (127, 3), (512, 10), (700, 333)])
def test_every_size_and_dtype_agrees_with_sorting(dtype, n, k):
    costs = random(30, n, seed=n, dtype=dtype)
    costs[10:20] = costs[10:20].round()  # whole rows of ties
    solution = TopK(k)(costs)
    assert solution.dtype == dtype
    assert torch.equal(solution, smallest_by_sorting(costs, k))
    assert bool(TopK(k).feasible(solution).all())


@pytest.mark.parametrize("row", ["ascending", "descending", "constant", "organ pipe"])
def test_orders_that_are_bad_for_pivots(row):
    rising = torch.arange(600.0)
    rows = {
        "ascending": rising,
        "descending": -rising,
        "constant": torch.ones(600),
        "organ pipe": -(rising - 300).abs(),
    }
    costs = rows[row].unsqueeze(0)
    for k in (1, 24, 25, 300, 599, 600):
        assert torch.equal(TopK(k)(costs), smallest_by_sorting(costs, k))


def test_the_two_zeros_are_equal():
    costs = torch.tensor([[0.0, -0.0, 0.0, -0.0]])
    assert TopK(2)(costs).tolist() == [[1, 1, 0, 0]]
    assert smallest_by_sorting(costs, 2).tolist() == [[1, 1, 0, 0]]


def test_none_all_and_empty():
    costs = random(3, 5)
    assert torch.equal(TopK(0)(costs), torch.zeros_like(costs))
    assert torch.equal(TopK(5)(costs), torch.ones_like(costs))
    assert TopK(2)(costs[:0]).shape == (0, 5)
    assert TopK(0)(torch.zeros(3, 0)).shape == (3, 0)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_does_not_matter(scale):
    costs = random(20, 15)
    assert torch.equal(TopK(4)(costs * scale), TopK(4)(costs))


@pytest.mark.parametrize("k", range(6))
def test_the_solutions_are_all_subsets_of_size_k_and_nothing_else(k):
    subsets = itertools.combinations(range(5), k)
    expected = {tuple(float(i in subset) for i in range(5)) for subset in subsets}
    found = {tuple(row) for row in TopK(k)(random(4000, 5, seed=k)).tolist()}
    assert found == expected
    attained = torch.tensor(sorted(expected))
    assert torch.equal(TopK(k)(-attained), attained)


def test_wrong_arguments_are_refused():
    with pytest.raises(SolverInputError, match="k = 6 of n = 5"):
        TopK(6)(torch.rand(2, 5))
    with pytest.raises(SolverInputError, match="flatten"):
        TopK(2)(torch.rand(2, 5, 5))
    with pytest.raises(ValueError, match="k is -1"):
        TopK(-1)
    with pytest.raises(ValueError, match="threads"):
        TopK(1, threads=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_tensor_gets_the_same_answer():
    costs = random(40, 50).round()
    assert torch.equal(TopK(10)(costs.cuda()).cpu(), TopK(10)(costs))
