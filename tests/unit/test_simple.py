"""SIMPLE's samples and gradient are those of the k-subset distribution, exactly."""

import itertools
import math

import numpy as np
import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients.simple import SIMPLE, covariance_product, sample_subsets
from combgrad.solvers import TopK

SIZES = [(1, 1), (4, 2), (6, 1), (6, 6), (8, 3), (8, 5), (5, 0)]
sizes = pytest.mark.parametrize(("n", "k"), SIZES)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def brute_force(row, k):
    """The probability of every k-subset of a row of costs, as Python floats."""
    row = row.tolist()
    subsets = list(itertools.combinations(range(len(row)), k))
    weights = [math.exp(-sum(row[i] for i in subset)) for subset in subsets]
    total = math.fsum(weights)
    return {s: w / total for s, w in zip(subsets, weights, strict=True)}


def marginals_by_hand(row, k):
    probabilities = brute_force(row, k)
    return torch.tensor(
        [math.fsum(p for s, p in probabilities.items() if i in s) for i in range(len(row))],
        dtype=torch.float64,
    )


def marginals_by_polynomials(row, k):
    """P(y_i = 1) = x_i e_{k-1}(x without x_i) / e_k(x), with x = exp(-w) and e_k the coefficient of
    t^k in the product of all 1 + x t."""
    x = np.exp(-row.numpy())

    def coefficient(values, power):
        return np.polynomial.polynomial.polyfromroots(-1 / values)[power] * values.prod()

    whole = coefficient(x, k)
    shares = [x[i] * coefficient(np.delete(x, i), k - 1) / whole for i in range(len(x))]
    return torch.tensor(shares, dtype=torch.float64)


@pytest.mark.parametrize(("n", "k"), [(4, 2), (6, 1), (8, 5)])
def test_marginals_by_polynomials_equal_the_sum_over_all_subsets(n, k):
    row = 2 * random(n, seed=n)
    torch.testing.assert_close(marginals_by_polynomials(row, k), marginals_by_hand(row, k))


@sizes
def test_the_product_equals_the_covariance_over_all_subsets(n, k):
    costs, g = random(3, n, seed=n), random(3, n, seed=1)
    product = covariance_product(costs, k, g)
    for row in range(3):
        probabilities = brute_force(costs[row], k)
        vectors = torch.zeros(len(probabilities), n, dtype=torch.float64)
        for index, subset in enumerate(probabilities):
            vectors[index, list(subset)] = 1.0
        p = torch.tensor(list(probabilities.values()), dtype=torch.float64)
        mean = p @ vectors
        covariance = (vectors.T * p) @ vectors - mean.outer(mean)
        torch.testing.assert_close(product[row], covariance @ g[row], rtol=1e-11, atol=1e-14)


def test_the_gradient_is_the_jacobian_of_the_marginals_by_finite_differences():
    tau, k, step = 0.6, 3, 1e-5
    costs, upstream = random(2, 7).requires_grad_(), random(2, 7, seed=1)
    torch.manual_seed(0)
    answer = CombinatorialLayer(TopK(k), SIMPLE(tau))(costs)
    (gradient,) = torch.autograd.grad(answer, costs, upstream)
    for row, i in itertools.product(range(2), range(7)):
        shift = torch.zeros(7, dtype=torch.float64)
        shift[i] = step
        up = marginals_by_hand((costs[row].detach() + shift) / tau, k)
        down = marginals_by_hand((costs[row].detach() - shift) / tau, k)
        slope = float(upstream[row] @ (up - down)) / (2 * step)
        assert float(gradient[row, i]) == pytest.approx(slope, abs=1e-8)


def test_subsets_are_drawn_as_often_as_they_should():
    count, k, row = 40_000, 2, random(5, seed=3)
    probabilities = brute_force(row, k)
    generator = torch.Generator().manual_seed(0)
    samples = sample_subsets(row.expand(count, 5), k, generator)
    found = {tuple(s): 0 for s in probabilities}
    for subset in samples.nonzero()[:, 1].view(count, k).tolist():
        found[tuple(subset)] += 1
    for subset, p in probabilities.items():
        assert found[subset] / count == pytest.approx(p, abs=4.5 * (p * (1 - p) / count) ** 0.5)


def test_the_mean_of_large_samples_is_the_marginal():
    count, k = 20_000, 10
    row = 2 * random(40, seed=4)
    samples = sample_subsets(row.expand(count, 40), k, torch.Generator().manual_seed(1))
    assert bool((samples.sum(1) == k).all())
    assert set(samples.unique().tolist()) == {0.0, 1.0}
    expected = marginals_by_polynomials(row, k)
    errors = (samples.mean(0) - expected) / (expected * (1 - expected) / count).sqrt()
    assert float(errors.abs().max()) < 4.5


def test_equal_costs_are_uniform_over_the_subsets():
    costs = torch.full((1, 350), 3.0)
    # Cov(y_i, y_j) = -p (1 - p) / (n - 1), so that Cov g = p (1 - p) n / (n - 1) (g - mean g).
    g = random(1, 350)
    factor = 10 / 350 * 340 / 350 * 350 / 349
    product = covariance_product(costs, 10, g)
    torch.testing.assert_close(product, factor * (g - g.mean()), rtol=1e-10, atol=1e-14)


def test_the_gradient_for_one_of_n_is_that_of_the_softmax():
    costs, g = random(3, 6), random(3, 6, seed=1)
    share = torch.softmax(-costs, 1)
    expected = share * (g - (share * g).sum(1, keepdim=True))
    torch.testing.assert_close(covariance_product(costs, 1, g), expected)


def test_as_tau_goes_to_zero_the_sample_is_the_solution_and_the_gradient_zero():
    costs, solver = random(50, 12), TopK(4)
    method = SIMPLE(1e-5)
    sample, saved = method.forward(solver, costs)
    assert torch.equal(sample, solver(costs))
    assert float(method.vjp(solver, saved, random(50, 12, seed=1)).abs().max()) < 1e-9


@pytest.mark.parametrize("scale", [1e-30, 1e3, 1e30])
def test_costs_of_any_size_give_finite_samples_and_gradients(scale):
    for dtype in (torch.float32, torch.float64):
        costs, method = random(20, 10, dtype=dtype) * scale, SIMPLE(0.1)
        sample, saved = method.forward(TopK(4), costs)
        gradient = method.vjp(TopK(4), saved, torch.ones_like(costs) + costs / scale)
        assert sample.dtype == gradient.dtype == dtype
        assert bool((sample.sum(1) == 4).all())
        assert bool(torch.isfinite(gradient).all())


def test_a_constant_in_the_costs_or_in_the_gradient_changes_nothing():
    costs, g = random(4, 9), random(4, 9, seed=1)
    product = covariance_product(costs, 3, g)
    torch.testing.assert_close(covariance_product(costs + 500, 3, g), product)
    torch.testing.assert_close(covariance_product(costs, 3, g + 1e6), product, rtol=1e-7, atol=1e-9)


def test_the_global_generator_is_used_unless_there_is_another():
    costs, solver = random(30, 9), TopK(3)
    torch.manual_seed(2)
    first = SIMPLE().forward(solver, costs)[0]
    second = SIMPLE().forward(solver, costs)[0]
    torch.manual_seed(2)
    assert torch.equal(SIMPLE().forward(solver, costs)[0], first)
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    SIMPLE(generator=torch.Generator().manual_seed(1)).forward(solver, costs)
    assert torch.equal(torch.get_rng_state(), state)


def test_in_evaluation_the_answer_is_the_most_probable_subset():
    costs, g = random(10, 7), random(10, 7, seed=1)
    answer, saved = SIMPLE(2.0).evaluate(TopK(3), costs)
    for row in range(10):
        probabilities = brute_force(costs[row] / 2, 3)
        best = max(probabilities, key=probabilities.__getitem__)
        assert tuple(answer[row].nonzero().flatten().tolist()) == best
    expected = -covariance_product(costs / 2, 3, g) / 2
    torch.testing.assert_close(SIMPLE(2.0).vjp(TopK(3), saved, g), expected)
