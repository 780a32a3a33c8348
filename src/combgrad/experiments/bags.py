"""Bags of shuffled labels: learn what images show from the labels of each bag as a whole."""

from typing import Any

import torch
from torch import Tensor

from combgrad.data.bags.datamodule import BagImages
from combgrad.data.batch_plans import Bags
from combgrad.experiments.base import Batch
from combgrad.experiments.fitting import check_has, check_solves
from combgrad.experiments.images import ImageExperiment
from combgrad.labels import Labels
from combgrad.losses import Outcome
from combgrad.metrics import cost_norm
from combgrad.pictures.bags import draw_bags
from combgrad.solvers import Solver

#: Bags of test images that are looked at, and how many images of each at most.
PICTURED, SHOWN = 4, 12


def check_answers_assignments(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that does not match rows with columns."""
    costs = torch.tensor([[[0.3, 0.1, 0.9], [0.2, 0.8, 0.7], [0.9, 0.5, 0.2]]])
    expected = [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]]
    check_solves(
        solver,
        lambda: solver(costs).tolist() == expected,
        "match the images of a bag with its labels; choose solver=assignment.",
    )


def label_costs(logits: Tensor, bag: Tensor) -> Tensor:
    """C_jk = -log p_j[Y_k] (B, b, b), what it costs that image j of a bag has its label k.

    From logits (B, b, K) of the images and the labels Y (B, b) of the bag, in any order.
    """
    columns = bag[:, None, :].expand(*logits.shape[:2], bag.shape[1])
    return -logits.log_softmax(dim=2).gather(2, columns)


def found_labels(solution: Tensor, bag: Tensor) -> Tensor:
    """The label (B, b) that each image of a bag is matched with, of matchings (B, b, b)."""
    return bag.gather(1, solution.argmax(dim=2))


class BagsExperiment(ImageExperiment):
    """Images -> logits -> costs of each image having each label of its bag -> matching.

    A batch of bags has `label` and `bag` (B, b) and `images` (B, b, C, S, S) or `features`
    (B, b, G); one of single images, as evaluations have it, `label` (B,) and the others without b:
    each is a bag of its own, for which the matching says nothing and the loss is cross-entropy. The
    loss is divided by b, so that it is a mean over images (A-44).

    Evaluations measure `error`, the share of images whose most likely class is not their own; the
    training that too, and `wrong_labels`, the share of images whose label in the matching is
    another's. Source: companion paper, section on bagged CIFAR-100 (protocol 9.2).

    Args:
        **parts: see Experiment; the network is a ClassNet.

    Raises IncompatibleError for a solver of other problems, and for a loss or a margin that needs
    true matchings.
    """

    def __init__(self, **parts: Any) -> None:
        check_has(parts["net"], ("head",), "model=class_net")
        super().__init__(provides=(), **parts)
        check_answers_assignments(self.layer.solver)

    def logits(self, batch: Batch, training: bool = False) -> Tensor:
        """The logits (B, b, K) of the images of bags, or (B, 1, K) of single ones."""
        return self.answers(batch, training).unflatten(0, (len(batch["label"]), -1))

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of bags, or of single images."""
        logits = self.logits(batch, training=stage == "train")
        label = batch["label"].view(logits.shape[:2])
        bag = batch.get("bag", label)
        costs = label_costs(logits, bag)
        outcome = self._judged(costs)
        wrong = (logits.argmax(dim=2) != label).to(costs.dtype)
        values = {"error": wrong.mean(dim=1), "cost_norm": cost_norm(costs.detach())}
        if stage == "train" and outcome.solution is not None:
            found = found_labels(outcome.solution.detach(), bag)
            values["wrong_labels"] = (found != label).to(costs.dtype).mean(dim=1)
        return outcome.loss, values

    def _judged(self, costs: Tensor) -> Outcome:
        """The loss of costs (B, b, b) as a mean over images, and the matching where it is found."""
        loss, solution = self.judge(costs, Labels())
        return Outcome(loss / costs.shape[1], solution)

    @torch.no_grad()
    def pictures(self, data: BagImages) -> dict[str, Any]:
        """A few bags of test images with the labels that are found for them, right and wrong."""
        self.eval()
        table = data.table("test")
        labels = torch.from_numpy(data.collection.labels[data.numbers("test")])
        # None is dropped, as test images may be too few, or of too few classes, for such bags.
        size = min(data.bag_size, len(labels))
        rows = next(Bags(labels, size, PICTURED, self.seed, distinct=0.0).batches(0))
        batch = {name: values.to(self.device) for name, values in table[rows].items()}
        costs = label_costs(self.logits(batch), batch["bag"])
        found = found_labels(self.layer(costs), batch["bag"])[:, :SHOWN]
        right = (found == batch["label"][:, :SHOWN]).cpu().numpy()
        images = data.photographs("test", rows[:, :SHOWN].flatten().tolist())
        names = [[data.collection.categories[n] for n in bag] for bag in found.tolist()]
        return {"bags": draw_bags(images.reshape(*right.shape, *images.shape[1:]), right, names)}
