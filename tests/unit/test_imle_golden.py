"""I-MLE returns the numbers of its authors' package, torch-imle, under the same noise.

Made by `ask_torch_imle` below, with torch 2.13.0 and github.com/uclnlp/torch-imle at commit
b6678cd77a1a7218de6daa0f777ba6cf6cc5d9a6; where `imle` can be imported, the last test asks it again.

The package maximises <theta, y>, so our costs are -theta, and it never divides by lambda. It hands
out every sample's solution where we hand out their mean, and each sample moves theta by lambda
times what came back to itself. Where that is dL/dy ("each"), lambda is ours; where the S samples
are averaged first ("mean"), each gets dL/dy / S, and our lambda is theirs / S.
"""

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import IMLE
from combgrad.solvers import TopK

K = 3
THETA = [
    [0.3, -1.2, 0.8, 0.1, -0.4, 1.5, -0.7, 0.6],
    [2.1, 0.4, -0.3, -1.8, 0.9, 0.2, -0.6, 1.1],
    [-0.2, 0.7, -0.9, 1.3, 0.5, -1.4, 0.0, -0.1],
]
SLOPE = [
    [0.13, -0.42, 0.08, -0.05, 0.27, 0.36, -0.61, 0.02],
    [0.55, -0.19, -0.24, 0.07, 0.16, -0.33, -0.03, 0.44],
    [-0.09, 0.28, -0.37, 0.66, -0.14, 0.01, 0.22, -0.48],
]
NOISE = [
    [
        [0.31, 0.94, -0.52, 0.11, -0.27, -0.83, 0.45, 0.06],
        [-0.74, 0.15, 0.62, 0.38, -0.96, 0.21, 1.02, -0.49],
        [0.57, -0.33, 0.08, -1.05, 0.26, 0.71, -0.18, 0.42],
    ],
    [
        [-0.65, 0.19, 0.23, 1.27, 0.04, -0.37, -0.12, 0.88],
        [0.36, -0.58, -0.09, 0.47, 0.53, -1.13, 0.02, 0.17],
        [-0.28, 0.61, 0.95, 0.07, -0.44, 0.33, 0.76, -0.81],
    ],
]

#: What torch-imle chose, instance by instance, for the first and for the second noise.
SOLUTIONS = [
    ["10000101", "11000001", "11001000"],
    ["00010101", "10001001", "01010010"],
]

#: dL/dtheta of torch-imle by the number of samples, who gets dL/dy, and lambda.
GRADIENTS = {
    (1, "each", 1.0): [
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0],
    ],
    (1, "each", 10.0): [
        [1.0, -1.0, 0.0, -1.0, 0.0, 1.0, -1.0, 1.0],
        [1.0, 0.0, -1.0, 0.0, 0.0, -1.0, 0.0, 1.0],
        [1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0],
    ],
    (2, "each", 1.0): [
        [0.0, 0.0, -0.5, 0.0, 0.0, 1.0, -0.5, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.5],
        [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5],
    ],
    (2, "each", 10.0): [
        [0.5, -1.0, 0.0, -0.5, 0.0, 1.0, -1.0, 1.0],
        [1.0, -0.5, -1.0, 0.0, 0.5, -1.0, 0.0, 1.0],
        [0.5, 1.0, -1.0, 0.5, -0.5, 0.0, 0.5, -1.0],
    ],
    (2, "mean", 1.0): [
        [0.0, 0.0, -0.5, 0.0, 0.0, 0.5, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.5],
        [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, -0.5],
    ],
    (2, "mean", 10.0): [
        [0.5, -0.5, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0],
        [1.0, -0.5, -1.0, 0.0, 0.5, -1.0, 0.0, 1.0],
        [0.5, 1.0, -1.0, 0.5, -0.5, 0.0, 0.5, -1.0],
    ],
}


def numbers(rows):
    return torch.tensor(rows, dtype=torch.float64)


def chosen(samples):
    """The first solutions of torch-imle, (samples, 3, 8)."""
    return numbers([[[int(bit) for bit in row] for row in rows] for rows in SOLUTIONS[:samples]])


class FixedNoise:
    """Given numbers (samples, B, n)."""

    def __init__(self, values):
        self.values = values

    def sample(self, shape, dtype, device):
        assert tuple(shape) == self.values.shape
        return self.values.to(dtype=dtype, device=device)


class TheirNoise:
    """Given numbers (samples, B, n), as torch-imle asks for them: (B, samples, n)."""

    def __init__(self, values):
        self.values = values.transpose(0, 1).contiguous()

    def sample(self, shape):
        assert shape == self.values.shape
        return self.values


def best(theta):
    """1 on the largest entries of theta (B, n)."""
    return torch.zeros_like(theta).scatter_(1, theta.topk(K, dim=1).indices, 1.0)


def ask_torch_imle(samples, handed, lam):
    """The solutions (samples, 3, 8) and dL/dtheta (3, 8) of torch-imle."""
    wrapper = pytest.importorskip("imle.wrapper", reason="torch-imle is not installed")
    target = pytest.importorskip("imle.target").TargetDistribution(alpha=1.0, beta=lam)
    noise = TheirNoise(numbers(NOISE[:samples]))
    solve = wrapper.imle(best, target, noise, nb_samples=samples)
    theta = numbers(THETA).requires_grad_()
    solutions = solve(theta).view(3, samples, 8)
    given = solutions.mean(dim=1) if handed == "mean" else solutions.sum(dim=1)
    given.backward(numbers(SLOPE))
    return solutions.detach().transpose(0, 1), theta.grad


def ask_ours(method):
    """The solution (3, 8) and dL/dtheta (3, 8) of our layer."""
    theta = numbers(THETA).requires_grad_()
    solution = CombinatorialLayer(TopK(K), method)(-theta)
    solution.backward(numbers(SLOPE))
    return solution.detach(), theta.grad


@pytest.mark.parametrize("divide", [False, True])
@pytest.mark.parametrize(("samples", "handed", "lam"), GRADIENTS)
def test_numbers_of_torch_imle(samples, handed, lam, divide):
    step = lam / samples if handed == "mean" else lam
    noise = FixedNoise(numbers(NOISE[:samples]))
    solution, gradient = ask_ours(IMLE(step, noise, samples, divide))
    wanted = numbers(GRADIENTS[samples, handed, lam])
    assert torch.equal(solution, chosen(samples).mean(dim=0))
    torch.testing.assert_close(gradient, wanted / step if divide else wanted, rtol=1e-12, atol=0)


def test_torch_imle_still_says_so():
    for case, wanted in GRADIENTS.items():
        solutions, gradient = ask_torch_imle(*case)
        assert torch.equal(solutions, chosen(case[0])), case
        assert torch.equal(gradient, numbers(wanted)), case
