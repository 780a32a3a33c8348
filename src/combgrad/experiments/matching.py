"""Graph matching: learn what makes key points of two pictures alike from their matches alone."""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from combgrad.arguments import check_option, check_range
from combgrad.data.matching.datamodule import KeyPointPairs
from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_solves
from combgrad.experiments.rates import rates_of_backbone
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import Loss
from combgrad.losses.solution import SolutionLoss
from combgrad.metrics import cost_norm, wrong_entries
from combgrad.networks.matching import MatchingCosts
from combgrad.pictures.matches import draw_matches
from combgrad.solvers import Solver
from combgrad.solvers.blocks import Blocks

#: Test pairs that are looked at.
PICTURED = 6

#: Costs that a margin acts on.
MarginOn = Literal["nodes", "both"]


class Joint(NamedTuple):
    """A batch of pairs as the solver has them.

    Attributes:
        blocks: of nodes (N, N) and of edges (E, E), as they lie in the joint vectors.
        costs: (B, n).
        labels: the true matches (B, n) of nodes, and of edges as they follow from them; the nodes
            are marked, and perturbed is what a margin acts on.
        instances: the edges, and what is no padding.
    """

    blocks: Blocks
    costs: Tensor
    labels: Labels
    instances: Instances


def both(there: Tensor) -> Tensor:
    """Whether both are there (B, N, N), of what is there (B, 2, N) on either side."""
    return there[:, 0, :, None] & there[:, 1, None, :]


def matched_edges(target: Tensor, edges: Tensor) -> Tensor:
    """e* (B, E, E), v*_ik v*_jl for the edges (i, j) and (k, l), 0 at padding.

    From v* (B, N, N) and edges (B, 2, E, 2) with -1 at padding.
    """
    ends = edges.clamp(min=0)
    batch = torch.arange(len(target), device=target.device)[:, None, None]
    first, second = ends[:, 0, :, None], ends[:, 1, None, :]
    starts = target[batch, first[..., 0], second[..., 0]]
    return starts * target[batch, first[..., 1], second[..., 1]] * both(edges[..., 0] >= 0)


def joined(
    costs: MatchingCosts, batch: Batch, pairwise: bool, margin_on: MarginOn = "nodes"
) -> Joint:
    """The costs of a batch of pairs with what the solver, the loss and a margin know of it."""
    edges, target = batch["edges"], batch["target"]
    if not pairwise:
        edges = edges[:, :, :0]
        costs = costs._replace(edges=costs.edges[:, :0, :0])
    blocks = Blocks(costs.nodes.shape[1:], costs.edges.shape[1:])
    true = blocks.pack(target, matched_edges(target, edges))
    valid = blocks.pack(both(batch["present"]), both(edges[..., 0] >= 0))
    nodes = blocks.marked(0).to(true.device)
    perturbed = nodes if margin_on == "nodes" else torch.ones_like(nodes)
    labels = Labels(true, marked=nodes, perturbed=perturbed)
    instances = Instances({"edges1": edges[:, 0], "edges2": edges[:, 1]}, valid=valid)
    return Joint(blocks, blocks.pack(*costs), labels, instances)


def found_in_categories(category: Tensor, right: Tensor, matches: Tensor) -> dict[int, Tensor]:
    """The share of its true matches that was found, of every category that has any.

    From the category of each pair (N,), its right matches (N,) and its true ones (N,).
    """
    shares = {}
    for number in category.unique().tolist():
        mine = category == number
        if bool(matches[mine].any()):
            shares[number] = right[mine].sum() / matches[mine].sum()
    return shares


def check_answers_matchings(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that does not match nodes and edges together."""
    # Nodes alone would stay in order; both directions of the edge between them cost less crosswise.
    costs = torch.tensor([[-1.0, -0.9, -0.9, -1.0, 0.0, -1.0, -1.0, 0.0]])
    edges = torch.tensor([[[0, 1], [1, 0]]])
    graphs = Instances({"edges1": edges, "edges2": edges})
    check_solves(
        solver,
        lambda: solver(costs, graphs).tolist() == [[0, 1, 1, 0, 0, 1, 1, 0]],
        "answer the costs of nodes and edges with a matching of two graphs; choose "
        "solver=graph_matching.",
    )


def check_edge_weight(weight: float, pairwise: bool, loss: Loss | None) -> None:
    """Raise ValueError for no weight, and IncompatibleError for one that nothing reads."""
    check_range("task.edge_weight", weight)
    if weight and not (pairwise and isinstance(loss, SolutionLoss)):
        raise IncompatibleError(
            f"task.edge_weight is {weight}, of a loss of the solution's edges, and there is none; "
            f"leave it out, or choose loss=hamming and task.pairwise=true."
        )


class MatchingExperiment(Experiment):
    """Features of key points -> costs of nodes and edges -> matching (paper, section B.2).

    A batch is one of `KeyPointPairs`. The loss speaks of the nodes' block of the solution, the
    projection of all costs of a pair together (A-18).

    Of evaluations it measures `matching_accuracy`, the mean over categories of the share of their
    true matches that was found; of the solver `gap`, how much less a matching could cost by what is
    proven, relative, and `proven`, 1 where none costs less.

    Args:
        pairwise: whether pairs of edges have costs; without them it is a linear assignment.
        edge_weight: of the loss of the edges' block, whose true matches follow from those of the
            nodes. Identity gives edge costs no gradient of their own where it is 0 (A-17).
        margin_on: `nodes`, or `both` for a margin on the costs of edges too (A-19).
        backbone_rate: learning rate of the network's backbone, where it has one to train.
        **parts: see Experiment.

    Raises IncompatibleError for a solver of other problems, or an edge weight that nothing reads.
    """

    def __init__(
        self,
        pairwise: bool = True,
        edge_weight: float = 0.0,
        margin_on: MarginOn = "nodes",
        backbone_rate: float = 2e-5,
        **parts: Any,
    ) -> None:
        rates = rates_of_backbone(parts["net"], backbone_rate)
        super().__init__(provides=("target",), rates=rates, **parts)
        check_answers_matchings(self.layer.solver)
        check_edge_weight(edge_weight, pairwise, self._loss)
        check_option("margin_on", margin_on, MarginOn, "task")
        self.pairwise, self.edge_weight, self.margin_on = pairwise, edge_weight, margin_on
        self.categories: tuple[str, ...] = ()

    def prepare(self, data: KeyPointPairs) -> None:
        """Take the names of the categories."""
        self.categories = data.categories

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of pairs."""
        joint = joined(self.net(batch), batch, self.pairwise, self.margin_on)
        outcome = self.judge(joint.costs, joint.labels, joint.instances)
        values = {"cost_norm": cost_norm(joint.costs.detach())}
        if outcome.solution is None:
            return outcome.loss, values
        loss = outcome.loss + self._of_edges(outcome.solution, joint)
        target = batch["target"]
        found, _ = joint.blocks.unpack(outcome.solution.detach())
        values |= {"wrong_matches": wrong_entries(found, target), **self._of_solver(target)}
        if stage != "train":
            right, matches = (found * target).sum(dim=(1, 2)), target.sum(dim=(1, 2))
            self.keep(stage, category=batch["category"], right=right, matches=matches)
        return loss, values

    def _of_solver(self, like: Tensor) -> dict[str, Tensor]:
        """What the solver said of the batch of solutions that it found last."""
        report = getattr(self.layer.solver, "last", None)  # none where another stands before it
        if report is None or len(report.gap) != len(like):  # a method that samples solves more
            return {}
        return {"gap": report.gap.to(like), "proven": report.proven.to(like)}

    def _of_edges(self, solution: Tensor, joint: Joint) -> Tensor:
        """The weighted loss, a scalar, of the edges' block of solutions (B, n)."""
        if not self.edge_weight or not isinstance(self._loss, SolutionLoss):
            return solution.new_zeros(())
        labels = joint.labels._replace(marked=joint.blocks.marked(1))
        each = self._loss.of_marked(solution, labels, joint.instances)
        return self.edge_weight * each.mean()

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """The mean over categories of the share of true matches found, and each of these (A-42)."""
        if stage == "train":
            return {}
        kept = self.kept(stage)
        shares = found_in_categories(kept["category"], kept["right"], kept["matches"])
        named = {
            f"accuracy_of_{self.categories[number].replace(' ', '_')}": share
            for number, share in shares.items()
        }
        return {"matching_accuracy": torch.stack([*shares.values()]).mean(), **named}

    @torch.no_grad()
    def pictures(self, data: KeyPointPairs) -> dict[str, Any]:
        """A few test pairs with the matches found, right and wrong."""
        self.eval()
        table = data.table("test")
        numbers = torch.linspace(0, len(table) - 1, min(PICTURED, len(table))).long()
        batch = {name: rows.to(self.device) for name, rows in table[numbers].items()}
        joint = joined(self.net(batch), batch, self.pairwise)
        found, _ = joint.blocks.unpack(self.layer(joint.costs, instances=joint.instances))
        points, target, category = (
            batch[n].cpu().numpy() for n in ("points", "target", "category")
        )
        names = [data.categories[number] for number in category]
        photographs = data.photographs("test", numbers.tolist())
        return {"matches": draw_matches(points, target, found.cpu().numpy(), names, photographs)}
