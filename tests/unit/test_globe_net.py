"""The network of Globe TSP is that of the paper's table, layer by layer, however it is computed."""

import pytest
import torch
from torch.nn import functional

from combgrad.networks import GlobeNet


def layer_by_layer(net, flags):
    """The table's order: ReLU, then pool; averages of the features, then their product."""
    first, second = (net.features[i] for i in (0, 3))
    pixels = functional.max_pool2d(torch.relu(first(flags)), 2)
    pixels = functional.adaptive_avg_pool2d(torch.relu(second(pixels)), 4)
    hidden = torch.relu(net.place[0](pixels.flatten(1)))
    return functional.normalize(net.place[2](hidden), dim=1)


@pytest.mark.parametrize("size", [(20, 40), (48, 64), (27, 33)])
def test_places_and_gradients_are_those_of_the_layers_in_the_table(size):
    torch.manual_seed(1)
    net, flags = GlobeNet(hidden=60).double(), torch.randn(7, 3, *size, dtype=torch.float64)
    upstream = torch.randn(7, 3, dtype=torch.float64)
    found = []
    for places in (net(flags), layer_by_layer(net, flags)):
        gradients = torch.autograd.grad(places, list(net.parameters()), upstream)
        found.append((places.detach(), *gradients))
    for ours, wanted in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted)


def test_names_of_parameters_stay_so_that_checkpoints_load():
    shapes = {name: tuple(values.shape) for name, values in GlobeNet().state_dict().items()}
    assert shapes == {
        "features.0.weight": (20, 3, 4, 4),
        "features.0.bias": (20,),
        "features.3.weight": (50, 20, 4, 4),
        "features.3.bias": (50,),
        "place.0.weight": (500, 800),
        "place.0.bias": (500,),
        "place.2.weight": (3, 500),
        "place.2.bias": (3,),
    }


def test_one_run_is_bit_for_bit_the_next():
    torch.manual_seed(2)
    net, flags = GlobeNet(), torch.randn(20, 3, 20, 40)
    gradients = [torch.autograd.grad(net(flags).sum(), list(net.parameters())) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
