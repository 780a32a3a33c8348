"""Spline convolution against a plain loop, and against the compiled one where it is installed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.networks.spline import SplineConv, spline_basis


def hat(place, point):
    """The B-spline of degree 1 at a control point."""
    return max(0.0, 1.0 - abs(place - point))


def by_loop(conv, x, edges, attributes):
    """The formula, edge by edge and control point by control point."""
    size, out = conv.size, []
    for i in range(len(x)):
        messages = []
        for (j, to), u in zip(edges.tolist(), attributes.tolist(), strict=True):
            if to != i:
                continue
            kernel = sum(
                hat(u[0] * (size - 1), a) * hat(u[1] * (size - 1), b) * conv.weight[a + size * b]
                for a in range(size)
                for b in range(size)
            )
            messages.append(x[j] @ kernel)
        largest = torch.stack(messages).amax(dim=0) if messages else torch.zeros_like(x[i, :1])
        out.append(conv.root(x[i]) + largest)
    return torch.stack(out)


def graph(nodes, edges, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, 3, generator=generator, dtype=torch.float64)
    ends = torch.randint(nodes, (edges, 2), generator=generator)
    attributes = torch.rand(edges, 2, generator=generator, dtype=torch.float64)
    # Control points themselves, both ends of the interval among them, are places like any other.
    exact = torch.rand(edges, 2, generator=generator) < 0.3
    return x, ends, torch.where(exact, (attributes * 4).round() / 4, attributes)


@given(st.integers(1, 6), st.integers(0, 15), st.integers(2, 5), st.integers(0, 10_000))
def test_outputs_and_gradients_are_those_of_the_plain_loop(nodes, edges, size, seed):
    torch.manual_seed(seed)
    conv = SplineConv(3, 4, size).double()
    torch.nn.init.normal_(conv.root.bias)
    x, ends, attributes = graph(nodes, edges, seed)
    weights = torch.randn(nodes, 4, dtype=torch.float64)
    results = []
    for forward in (conv, lambda *given: by_loop(conv, *given)):
        conv.zero_grad()
        inputs = x.clone().requires_grad_()
        out = forward(inputs, ends, attributes)
        (out * weights).sum().backward()
        moved = [p.grad if p.grad is not None else torch.zeros_like(p) for p in conv.parameters()]
        results.append([out.detach(), inputs.grad, *moved])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_the_weights_of_an_edge_add_up_to_one_and_reproduce_its_place():
    places = torch.rand(50, 2, dtype=torch.float64)
    weights, numbers = spline_basis(places, 5)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(50, dtype=torch.float64))
    found = torch.stack([(weights * (numbers % 5)).sum(1), (weights * (numbers // 5)).sum(1)], 1)
    torch.testing.assert_close(found, 4 * places)


def test_an_edge_beyond_the_interval_is_read_at_its_border():
    outside = torch.tensor([[-0.5, 1.5]])
    for found, expected in zip(
        spline_basis(outside, 5), spline_basis(torch.tensor([[0.0, 1.0]]), 5), strict=True
    ):
        assert torch.equal(found, expected)


def test_a_spline_has_at_least_two_control_points():
    with pytest.raises(ValueError, match="size is 1"):
        SplineConv(2, 2, 1)


def test_messages_are_those_of_torch_geometrics_spline_convolution():
    theirs = pytest.importorskip("torch_spline_conv")
    conv = SplineConv(3, 4, 5)
    x, edges, attributes = (v.float() if v.is_floating_point() else v for v in graph(6, 20, seed=1))
    basis = theirs.spline_basis(attributes, torch.tensor([5, 5]), torch.tensor([1, 1]).byte(), 1)
    messages = theirs.spline_weighting(x[edges[:, 0]], conv.weight, *basis)
    out = conv(x, edges, attributes) - conv.root(x)
    for node in range(6):
        received = messages[edges[:, 1] == node]
        assert len(received) > 0
        torch.testing.assert_close(out[node], received.amax(dim=0))
