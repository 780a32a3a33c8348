"""docs/value-losses.md, block by block: flows and cuts, and a network that learns capacities."""

import re

import networkx
import pytest
import torch

from combgrad.runs.configuration import CONFIG_FOLDER

PAGE = (CONFIG_FOLDER.parent / "docs" / "value-losses.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names():
    """All that the blocks of the page define."""
    found: dict = {}
    for block in re.findall(r"^```python\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "value-losses.md", "exec"), found)
    return found


def capacities(names, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(8, len(names["PIPES"]), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("function", ["largest_flow", "narrowest_cut"])
def test_either_is_what_networkx_finds(names, function):
    given = capacities(names)
    found = names[function](given)
    for row, value in zip(given.tolist(), found.tolist(), strict=True):
        graph = networkx.DiGraph()
        for (tail, head), capacity in zip(names["PIPES"], row, strict=True):
            graph.add_edge(tail, head, capacity=capacity)
        assert value == pytest.approx(networkx.maximum_flow_value(graph, 0, 4), abs=1e-9)


def test_both_sides_of_the_duality_have_the_same_gradient_which_is_the_cut(names):
    given = capacities(names, seed=1).requires_grad_()
    found = {}
    for function in ("largest_flow", "narrowest_cut"):
        (found[function],) = torch.autograd.grad(names[function](given).sum(), given)
    torch.testing.assert_close(found["largest_flow"], found["narrowest_cut"])
    cut = found["narrowest_cut"]
    assert {round(x, 9) for x in cut.flatten().tolist()} == {0.0, 1.0}
    torch.testing.assert_close((cut * given.detach()).sum(1), names["largest_flow"](given.detach()))


def test_the_network_learns_what_the_pipes_let_through(names):
    errors = names["errors"]
    assert errors[-1] < errors[0] / 50
    found = names["net"][0].weight.detach()[0]
    assert torch.allclose(found, names["rule"], atol=0.3)
