"""Graph matching: blocks and metrics against plain loops, the step, and runs to their record."""

import os
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from combgrad.errors import IncompatibleError
from combgrad.experiments import MatchingExperiment
from combgrad.experiments.matching import found_in_categories, joined, matched_edges
from combgrad.gradients import Blackbox, Identity
from combgrad.layer import CombinatorialLayer
from combgrad.losses import FenchelYoung, Hamming
from combgrad.margins import InformedMargin
from combgrad.networks import MatchingNet, SmallCNN
from combgrad.networks.matching import MatchingCosts
from combgrad.runs.configuration import compose, scientific
from combgrad.runs.run import run
from combgrad.solvers import GraphMatching, TopK
from parts import options

PAIRS, NODES, EDGES = 3, 4, 9


def a_batch(seed=0):
    """Pairs of different size, the first of them without padding."""
    generator = torch.Generator().manual_seed(seed)
    counts, edge_counts = [(4, 4), (2, 3), (3, 2)], [(9, 9), (2, 6), (6, 1)]
    present = torch.arange(NODES) < torch.tensor(counts)[..., None]
    edges = torch.full((PAIRS, 2, EDGES, 2), -1)
    target = torch.zeros(PAIRS, NODES, NODES)
    for pair in range(PAIRS):
        for side in range(2):
            number, nodes = edge_counts[pair][side], counts[pair][side]
            every = [(i, j) for i in range(nodes) for j in range(nodes) if i != j]
            order = torch.randperm(len(every), generator=generator)[:number]
            edges[pair, side, : len(order)] = torch.tensor(every)[order]
        matches = min(counts[pair]) - (pair == 1)  # one node of the second pair matches nothing
        partners = torch.randperm(counts[pair][1], generator=generator)
        for node in range(matches):
            target[pair, node, partners[node]] = 1
    category = torch.tensor([0, 2, 0])
    return {"present": present, "edges": edges, "target": target, "category": category}


def costs_of(batch, seed=1):
    """Random costs, 0 at padding as the network has them."""
    generator = torch.Generator().manual_seed(seed)
    there = batch["edges"][..., 0] >= 0
    blocks = []
    for some in (batch["present"], there):
        both = some[:, 0, :, None] & some[:, 1, None, :]
        blocks.append(torch.randn(both.shape, generator=generator) * both)
    return MatchingCosts(*blocks)


def test_matched_edges_are_those_whose_ends_match():
    batch = a_batch()
    found = matched_edges(batch["target"], batch["edges"])
    expected = torch.zeros(PAIRS, EDGES, EDGES)
    for pair in range(PAIRS):
        v = batch["target"][pair]
        for e, (i, j) in enumerate(batch["edges"][pair, 0].tolist()):
            for f, (k, m) in enumerate(batch["edges"][pair, 1].tolist()):
                if i >= 0 and k >= 0:
                    expected[pair, e, f] = v[i, k] * v[j, m]
    assert torch.equal(found, expected)
    assert bool(found.any())


def test_the_blocks_of_a_pair_are_one_vector():
    batch = a_batch()
    costs = costs_of(batch)
    joint = joined(costs, batch, pairwise=True)
    assert joint.costs.shape == (PAIRS, NODES**2 + EDGES**2)
    nodes, edges = joint.costs.split([NODES**2, EDGES**2], dim=1)
    assert torch.equal(nodes.view_as(costs.nodes), costs.nodes)
    assert torch.equal(edges.view_as(costs.edges), costs.edges)
    assert torch.equal(joint.instances.valid, joint.costs != 0)
    marked = joint.labels.marked
    assert marked.tolist() == [True] * NODES**2 + [False] * EDGES**2
    alone = joined(costs, batch, pairwise=False)
    assert torch.equal(alone.costs, nodes)


def test_a_category_has_the_share_of_all_its_matches():
    shares = found_in_categories(
        torch.tensor([3, 1, 3, 5]), torch.tensor([1.0, 0, 4, 0]), torch.tensor([2.0, 3, 6, 0])
    )
    assert {number: float(share) for number, share in shares.items()} == {1: 0.0, 3: 5 / 8}


class Given(nn.Module):
    """A network that answers with its parameters, whatever the batch."""

    def __init__(self, costs):
        super().__init__()
        self.nodes, self.edges = nn.Parameter(costs.nodes), nn.Parameter(costs.edges)

    def forward(self, batch):
        return MatchingCosts(self.nodes, self.edges)


def make(costs, gradient=None, loss=None, margin=None, solver=None, **options):
    experiment = MatchingExperiment(
        net=Given(costs),
        layer=CombinatorialLayer(solver or GraphMatching(), gradient or Identity(), None, margin),
        optimizer=torch.optim.Adam,
        loss=loss or Hamming(),
        **options,
    )
    experiment.trainer = SimpleNamespace(
        datamodule=SimpleNamespace(categories=("a", "b c", "d")), world_size=1
    )
    experiment.asks_epoch_metrics = lambda stage: True
    experiment.setup("fit")
    return experiment


def test_loss_metrics_and_gradients_of_a_step_are_those_of_the_formulas():
    batch = a_batch()
    experiment = make(costs_of(batch))
    solution = experiment.layer.eval()(
        joined(experiment.net(batch), batch, True).costs,
        instances=joined(experiment.net(batch), batch, True).instances,
    )
    found = solution[:, : NODES**2].view(PAIRS, NODES, NODES)
    wrong = (found - batch["target"]).detach()
    loss, values = experiment.step(batch, "val")
    assert float(loss.detach()) == pytest.approx(float(wrong.abs().sum()) / PAIRS)
    assert values["wrong_matches"].tolist() == wrong.abs().sum(dim=(1, 2)).tolist()
    loss.backward()
    assert torch.equal(experiment.net.nodes.grad, -wrong.sign() / PAIRS)
    assert not bool(experiment.net.edges.grad.any())
    right = (found.detach() * batch["target"]).sum(dim=(1, 2))
    matches = batch["target"].sum(dim=(1, 2))
    shares = [
        float((right[0] + right[2]) / (matches[0] + matches[2])),
        float(right[1] / matches[1]),
    ]
    metrics = experiment.epoch_metrics("val")
    assert float(metrics["matching_accuracy"]) == pytest.approx(sum(shares) / 2)
    assert float(metrics["accuracy_of_a"]) == pytest.approx(shares[0])
    assert float(metrics["accuracy_of_d"]) == pytest.approx(shares[1])
    assert "accuracy_of_b_c" not in metrics


def test_an_edge_term_gives_edges_a_gradient_under_identity():
    batch = a_batch()
    experiment = make(costs_of(batch), edge_weight=0.5)
    joint = joined(experiment.net(batch), batch, True)
    solution = experiment.layer(joint.costs, instances=joint.instances)
    wrong = (solution - joint.labels.target)[:, NODES**2 :].view(PAIRS, EDGES, EDGES)
    loss, values = experiment.step(batch, "train")
    expected = values["wrong_matches"].mean() + 0.5 * wrong.abs().sum() / PAIRS
    torch.testing.assert_close(loss.detach(), expected.detach())
    loss.backward()
    torch.testing.assert_close(experiment.net.edges.grad, -0.5 * wrong.sign().detach() / PAIRS)
    assert bool(experiment.net.edges.grad.any())


def test_blackbox_moves_the_costs_of_edges_that_come_with_other_matches():
    batch = a_batch()
    experiment = make(costs_of(batch), gradient=Blackbox(lam=80.0))
    experiment.step(batch, "train")[0].backward()
    assert bool(experiment.net.edges.grad.any())
    there = batch["edges"][..., 0] >= 0
    padding = ~(there[:, 0, :, None] & there[:, 1, None, :])
    assert not bool(experiment.net.edges.grad[padding].any())


@pytest.mark.parametrize("margin_on", ["nodes", "both"])
def test_a_margin_is_added_to_the_costs_that_it_is_to_act_on(margin_on):
    batch, seen = a_batch(), []

    class Watched(GraphMatching):
        def __call__(self, costs, *rest, **named):
            seen.append(costs.clone())
            return super().__call__(costs, *rest, **named)

    costs = costs_of(batch)
    experiment = make(costs, margin=InformedMargin(2.0), solver=Watched(), margin_on=margin_on)
    joint = joined(costs, batch, True)
    loss, values = experiment.train().step(batch, "train")
    moved = seen[-1].masked_fill(~joint.instances.valid, 0.0) - joint.costs
    matches = matched_edges(batch["target"], batch["edges"])
    true = torch.cat([batch["target"].flatten(1), matches.flatten(1)], dim=1)
    expected = (2 * true - 1) * joint.instances.valid
    if margin_on == "nodes":
        expected[:, NODES**2 :] = 0
    torch.testing.assert_close(moved, expected)
    # Whatever it acts on, the loss is that of nodes.
    assert float(loss.detach()) == float(values["wrong_matches"].mean())


def test_without_pairs_of_edges_it_is_a_linear_assignment():
    batch = a_batch()
    costs = costs_of(batch)
    loss, values = make(costs, pairwise=False).step(batch, "val")
    free = costs._replace(edges=torch.zeros_like(costs.edges))
    other, others = make(free).step(batch, "val")
    assert float(loss.detach()) == float(other.detach())
    assert torch.equal(values["wrong_matches"], others["wrong_matches"])
    assert values["proven"].tolist() == [1.0] * PAIRS


def test_what_would_be_ignored_is_refused():
    costs = costs_of(a_batch())
    with pytest.raises(IncompatibleError, match=r"task\.edge_weight is 1\.0"):
        make(costs, edge_weight=1.0, pairwise=False)
    with pytest.raises(IncompatibleError, match=r"task\.edge_weight is 1\.0"):
        make(costs, edge_weight=1.0, loss=FenchelYoung(1.0, 2))
    with pytest.raises(ValueError, match=r"task\.edge_weight is -1"):
        make(costs, edge_weight=-1)
    with pytest.raises(ValueError, match=r"task\.margin_on is 'edges'"):
        make(costs, margin_on="edges")
    with pytest.raises(IncompatibleError, match="solver=graph_matching"):
        make(costs, solver=TopK(2))


@pytest.mark.parametrize("backbone", options("backbone"))
def test_a_backbone_counts_once_and_its_file_never(backbone):
    words = ["experiment=matching", f"backbone={backbone}"]
    config = compose(words)
    assert config.model.backbone == config.data.backbone == config.backbone
    known = scientific(config)
    assert bool(known["backbone"]) == (backbone != "none")
    assert "backbone" not in known["model"]
    assert "backbone" not in known["data"]
    if backbone == "vgg16_bn":
        assert scientific(compose([*words, "backbone.file=/x/vgg.pth"])) == known
        assert scientific(compose([*words, "backbone.pretrained=false"])) != known


def test_values_of_blackbox_belong_to_every_data_set_of_the_task():
    for experiment in ("matching", "matching_voc", "matching_spair"):
        assert compose([f"experiment={experiment}", "grad=blackbox"]).grad.lam == 80


def smoke(root, *words):
    common = ["experiment=matching", "profile=smoke", f"paths.root={root}", "logger=none"]
    return run(compose([*common, "pictures=false", *words]))


@pytest.mark.parametrize(
    "words",
    [
        ("proj=norm", "margin=noise"),
        ("grad=blackbox", "loss=bilinear", "margin=informed"),
        ("task.edge_weight=1", "data.common_points=false", "data.collection.outliers=2"),
        ("task.pairwise=false", "loss=fenchel_young"),
    ],
)
def test_a_run_leaves_a_record_with_all_metrics(tmp_path, words):
    record = smoke(tmp_path, *words)
    for stage in ("test", "last"):
        assert 0 <= record.metrics[f"{stage}/matching_accuracy"] <= 1
        assert 0 <= record.metrics[f"{stage}/proven"] <= 1
        assert record.metrics[f"{stage}/gap"] >= 0
        assert f"{stage}/accuracy_of_thing_0" in record.metrics


def test_mean_is_refused_because_matchings_differ_in_size(tmp_path):
    with pytest.raises(IncompatibleError, match="proj"):
        smoke(tmp_path, "proj=mean")


def test_a_trained_backbone_has_a_rate_of_its_own():
    def rates(backbone):
        experiment = MatchingExperiment(
            net=MatchingNet(backbone),
            layer=CombinatorialLayer(GraphMatching(), Identity()),
            optimizer=lambda groups: torch.optim.Adam(groups, lr=2e-3),
            loss=Hamming(),
            backbone_rate=1e-5,
        )
        rate_of = {}
        for group in experiment.configure_optimizers().param_groups:
            rate_of |= {id(parameter): group["lr"] for parameter in group["params"]}
        return {name: rate_of[id(p)] for name, p in experiment.net.named_parameters()}

    found = rates(SmallCNN(4)).items()
    of_parts = {(name.startswith("backbone."), rate) for name, rate in found}
    assert of_parts == {(True, 1e-5), (False, 2e-3)}
    assert set(rates(SmallCNN(4, frozen=True)).values()) == {2e-3}


@pytest.mark.real_data
@pytest.mark.skipif(not os.environ.get("COMBGRAD_DATA"), reason="needs COMBGRAD_DATA")
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_photographs_are_matched_by_a_backbone(tmp_path, frozen):
    words = ("data=willow", "backbone=small_cnn", f"backbone.frozen={frozen}")
    record = smoke(tmp_path, f"paths.data={os.environ['COMBGRAD_DATA']}", *words)
    assert record.data_source == "original"
    assert 0 <= record.metrics["last/accuracy_of_Motorbike"] <= 1
