"""Networks from features to costs: their maps in a plain loop, and what they refuse."""

import numpy as np
import pytest
import torch

from combgrad.networks import CostPredictor


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_without_hidden_layers_it_is_a_linear_map():
    net, features = CostPredictor(3, (2, 4)), random(5, 3)
    (layer,) = net.layers
    expected = torch.stack([layer.weight @ x + layer.bias for x in features]).view(5, 2, 4)
    torch.testing.assert_close(net(features), expected)


def test_sizes_may_be_numbers_of_numpy():
    net = CostPredictor(np.int64(3), np.int64(4), [np.int64(5)])
    assert (net.features, net.costs) == ((3,), (4,))
    assert CostPredictor(np.array([3]), 4).features == (3,)


def test_hidden_layers_have_a_relu_after_each():
    net, features = CostPredictor((2, 3), 4, [8, 7]), random(5, 2, 3)
    first, _, second, _, last = net.layers
    hidden = torch.relu(second(torch.relu(first(features.flatten(1)))))
    torch.testing.assert_close(net(features), last(hidden))
    assert [(x.in_features, x.out_features) for x in (first, second, last)] == [
        (6, 8), (8, 7), (7, 4)
    ]  # fmt: skip


def test_a_shared_map_sees_the_features_of_one_cost_at_a_time():
    net, features = CostPredictor((4, 3), 4, [5], shared=True), random(2, 4, 3)
    expected = torch.stack([net.layers(x)[0] for x in features.view(8, 3)]).view(2, 4)
    torch.testing.assert_close(net(features), expected)


def test_positive_costs_are_positive():
    plain, features = CostPredictor(3, 4), 5 * random(9, 3)
    net = CostPredictor(3, 4, positive=True)
    net.load_state_dict(plain.state_dict())
    assert float(plain(features).detach().min()) < 0 < float(net(features).detach().min())
    torch.testing.assert_close(net(features), torch.log1p(plain(features).exp()))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((0, 4), "features is 0"),
        ((2.5, 4), "features is 2.5"),
        ((True, 4), "features is True"),
        (([], 4), r"features is \[\]"),
        ((3, (2, 0)), "costs is 0"),
        ((3, 4, [0]), "hidden is 0"),
        ((3, 4, [2.5]), "hidden is 2.5"),
    ],
)
def test_sizes_that_cannot_be_are_refused(arguments, told):
    with pytest.raises(ValueError, match=rf"model\.{told}"):
        CostPredictor(*arguments)


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 'F'\), and they have shape \(5, 3\)"):
        CostPredictor((5, 3), 4, shared=True)
    with pytest.raises(ValueError, match=r"features have shape \(2, 4\); .* takes \(B, 3\)"):
        CostPredictor(3, 4)(random(2, 4))
