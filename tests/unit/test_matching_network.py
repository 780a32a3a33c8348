"""The network of graph matching against a plain loop over single pairs, and its padding."""

import pytest
import torch
from torch.nn.functional import normalize, softplus

from combgrad.networks import MatchingNet, SmallCNN
from combgrad.networks.backbones import read_out

CHANNELS, WHOLE = 6, 4


def one_pair(nodes, edges, seed, pictures=False):
    """A batch of one pair without padding: graphs of these numbers of nodes and edges."""
    generator = torch.Generator().manual_seed(seed)
    most, most_edges = max(nodes), max(edges)
    present = torch.arange(most) < torch.tensor(nodes)[:, None]
    ends = torch.full((2, most_edges, 2), -1)
    for side in range(2):
        ends[side, : edges[side]] = torch.randint(
            nodes[side], (edges[side], 2), generator=generator
        )
    points = 256 * torch.rand(2, most, 2, generator=generator) * present.unsqueeze(2)
    batch = {"points": points, "present": present, "edges": ends}
    if pictures:
        shape = (2, 3, 256, 256)
        batch["images"] = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    else:
        features = torch.randn(2, most, CHANNELS, generator=generator)
        batch["features"] = features * present.unsqueeze(2)
        batch["whole"] = torch.randn(2, WHOLE, generator=generator)
    return {name: value.unsqueeze(0) for name, value in batch.items()}


def together(pairs):
    """Pairs of different sizes as one padded batch."""
    joined = {}
    for name in pairs[0]:
        values = [pair[name][0] for pair in pairs]
        most = [max(sizes) for sizes in zip(*(value.shape for value in values), strict=True)]
        fill = -1 if name == "edges" else 0
        joined[name] = torch.full((len(pairs), *most), fill, dtype=values[0].dtype)
        for row, value in zip(joined[name], values, strict=True):
            row[tuple(slice(size) for size in value.shape)] = value
    return joined


def net(backbone=None, seed=0):
    torch.manual_seed(seed)
    made = MatchingNet(backbone, CHANNELS, WHOLE)
    for parameter in made.parameters():
        if parameter.dim() == 1:  # biases that are 0 would hide mistakes
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def plain(made, batch):
    """Costs of the only pair of a batch, from the formulas, one entry at a time."""
    graphs = []
    for side in range(2):
        count = int(batch["present"][0, side].sum())
        ends = batch["edges"][0, side]
        ends = ends[ends[:, 0] >= 0]
        points = batch["points"][0, side, :count]
        u = 0.5 + 0.5 * (points[ends[:, 0]] - points[ends[:, 1]]) / 256
        x = batch["features"][0, side, :count]
        hidden = torch.relu(made.messages.first(x, ends, u))
        graphs.append((x + 0.1 * made.messages.second(hidden, ends, u), ends))
    (x, x_ends), (y, y_ends) = graphs
    g = torch.cat(list(batch["whole"][0]))
    g = g / g.norm()

    def similarity(affinity, a, b):
        return softplus((a * torch.tanh(affinity.coefficients(g))) @ b) - 0.5

    nodes = torch.stack(
        [torch.stack([-similarity(made.node_affinity, a, b) for b in y]) for a in x]
    )
    edges = torch.stack(
        [
            torch.stack(
                [-0.5 * similarity(made.edge_affinity, x[i] - x[j], y[k] - y[m]) for k, m in y_ends]
            )
            for i, j in x_ends
        ]
    )
    return nodes, edges


def test_costs_are_those_of_the_formulas():
    made, batch = net(), one_pair((5, 3), (9, 4), seed=3)
    costs = made(batch)
    nodes, edges = plain(made, batch)
    torch.testing.assert_close(costs.nodes[0, :5, :3], nodes)
    torch.testing.assert_close(costs.edges[0, :9, :4], edges)
    assert not bool(costs.nodes[0, :, 3:].any())
    assert not bool(costs.edges[0, :, 4:].any())


@pytest.mark.parametrize("pictures", [False, True])
def test_padding_changes_no_valid_number_and_no_gradient(pictures):
    sizes = [((5, 3), (9, 4)), ((2, 7), (2, 20)), ((4, 4), (0, 6))]
    pairs = [one_pair(n, e, seed, pictures) for seed, (n, e) in enumerate(sizes)]
    made = net(SmallCNN(3) if pictures else None)
    batch = together(pairs)
    # Whatever stands at the padding of the points, nobody reads it.
    batch["points"] = batch["points"].masked_fill(~batch["present"].unsqueeze(3), 77.0)
    alone = [made(pair) for pair in pairs]
    sum((c.nodes.square().sum() + c.edges.square().sum()) for c in alone).backward()
    gradients = [p.grad.clone() for p in made.parameters()]
    made.zero_grad()
    costs = made(batch)
    (costs.nodes.square().sum() + costs.edges.square().sum()).backward()
    for row, single in enumerate(alone):
        for found, expected in zip(costs, single, strict=True):
            _, height, width = expected.shape
            torch.testing.assert_close(found[row, :height, :width], expected[0])
            assert not bool(found[row, height:].any())
            assert not bool(found[row, :, width:].any())
    for parameter, expected in zip(made.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-5)


def test_a_trained_backbone_is_asked_for_the_features_of_the_key_points():
    made, batch = net(SmallCNN(3)), one_pair((4, 3), (5, 5), seed=1, pictures=True)
    assert made.backbone is not None
    maps, whole = made.backbone(batch["images"][0])
    given = {name: value for name, value in batch.items() if name != "images"}
    given["features"] = read_out(maps, batch["points"][0], 256).unsqueeze(0)
    given["whole"] = whole.unsqueeze(0)
    other = MatchingNet(None, made.backbone.channels, made.backbone.whole_channels)
    weights = made.state_dict()
    other.load_state_dict({k: v for k, v in weights.items() if not k.startswith("backbone.")})
    for found, expected in zip(made(batch), other(given), strict=True):
        torch.testing.assert_close(found, expected)


def test_a_frozen_backbone_tells_the_channels_and_is_no_weight():
    backbone = SmallCNN(3, frozen=True)
    made = MatchingNet(backbone)
    assert made.backbone is None
    assert not any(name.startswith("backbone") for name in made.state_dict())
    batch = one_pair((4, 3), (5, 5), seed=1)
    batch["features"] = normalize(torch.randn(1, 2, 4, backbone.channels), dim=3)
    batch["whole"] = torch.randn(1, 2, backbone.whole_channels)
    assert made(batch).nodes.shape == (1, 4, 4)


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match=r"model\.channels is 0"):
        MatchingNet(None, 0, WHOLE)
    with pytest.raises(ValueError, match=r"\(6, 4\) channels .* for \(5, 4\); choose"):
        MatchingNet(None, 5, WHOLE)(one_pair((3, 3), (4, 4), seed=0))
    with pytest.raises(ValueError, match="choose backbone=efficientnet_lite0"):
        net()(one_pair((3, 3), (4, 4), seed=0, pictures=True))
    with pytest.raises(ValueError, match="backbone=none, or a frozen one"):
        net(SmallCNN(3))(one_pair((3, 3), (4, 4), seed=0))


def test_costs_are_in_single_precision_under_autocast_too():
    made, batch = net(), one_pair((5, 3), (9, 4), seed=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        costs = made(batch)
    assert costs.nodes.dtype == costs.edges.dtype == torch.float32
    torch.testing.assert_close(costs.nodes, made(batch).nodes, rtol=0.1, atol=0.1)
