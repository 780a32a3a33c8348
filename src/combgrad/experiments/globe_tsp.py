"""Globe TSP: learn where capitals lie from their flags, supervised by optimal tours alone."""

from typing import Any

import torch
from torch import Tensor

from combgrad.arguments import check_option
from combgrad.data.globe.datamodule import GlobeTSP
from combgrad.data.globe.sphere import Distance, edge_distances, unit_vectors
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_answers, check_solves
from combgrad.experiments.globe_pictures import Moment, best_seen, draw, draw_moments
from combgrad.experiments.snapshots import moments_of
from combgrad.labels import Labels
from combgrad.metrics import cost_norm, cost_ratio, edge_accuracy, entry_accuracy, tour_accuracy
from combgrad.networks.globe_net import Pixels, as_images
from combgrad.solvers.base import Solver
from combgrad.solvers.edges import are_tours


def check_answers_tours(solver: Solver) -> None:
    """Raise IncompatibleError for a solver that answers edge costs with anything but tours."""
    check_solves(
        solver,
        lambda: bool(are_tours(solver(torch.arange(10.0).unsqueeze(0))).all()),
        "answer edge costs with tours, and Globe TSP needs tours; choose solver=tsp or "
        "solver=gurobi_tsp.",
    )


class GlobeTSPExperiment(Experiment):
    """Flags -> points on the sphere -> pairwise distances -> tour (paper, section 4.4).

    The network sees each of the C distinct flags once a step, and the instances gather its points:
    the same numbers as one evaluation per city of each instance, for a fraction of the work.

    Args:
        distance: between points, the one that labelled the data.
        pixels: `standardised`, or `raw` (0 to 255).
        **parts: see Experiment.
    """

    flags: Tensor

    def __init__(
        self,
        distance: Distance = "chord",
        pixels: Pixels = "standardised",
        **parts: Any,
    ) -> None:
        super().__init__(provides=("target", "true_costs"), **parts)
        check_answers_tours(self.layer.solver)
        check_answers(self.net, torch.zeros(2, 3, 20, 40), (2, 3), "model=globe_net")
        check_option("pixels", pixels, Pixels, "task")
        self.pixels = pixels
        self.distance = distance

    def prepare(self, data: GlobeTSP) -> None:
        """Take the flags; they are data, not weights."""
        self.register_buffer("flags", as_images(data.flags, self.pixels), persistent=False)

    def costs(self, cities: Tensor) -> Tensor:
        """Predicted distances (B, E) between the cities (B, k) of each instance."""
        return edge_distances(self.net(self.flags)[cities], self.distance)

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of instances."""
        target = batch["target"]
        costs = self.costs(batch["cities"])
        outcome = self.judge(costs, Labels(target, batch["true_costs"]))
        values = {"cost_norm": cost_norm(costs.detach())}
        if stage == "train" or outcome.solution is None:
            return outcome.loss, values
        found = outcome.solution.detach()
        values["edge_accuracy"] = edge_accuracy(found, target)
        values["tour_accuracy"] = tour_accuracy(found, target)
        values["entry_accuracy"] = entry_accuracy(found, target)
        values["cost_ratio"] = cost_ratio(found, target, batch["true_costs"])
        return outcome.loss, values

    def snapshot(self) -> Tensor:
        """Where the network puts all countries: points (C, 3)."""
        return self.net(self.flags)

    @torch.no_grad()
    def pictures(self, data: GlobeTSP) -> dict[str, Any]:
        """A test tour, a wrong one if there is any, the learned globe, and how it was learned."""
        self.eval()
        test = data.instances["test"]
        found = self.layer(self.costs(test.cities.to(self.device))).cpu()
        wrong = 1 - tour_accuracy(found, test.target)
        candidates = (wrong if bool(wrong.any()) else 1 - wrong).nonzero().flatten()
        true_points = unit_vectors(torch.tensor(data.countries.lonlat)).numpy()
        chosen = best_seen(true_points, test.cities, candidates)
        figures = draw(
            data.countries,
            true_points,
            self.snapshot().cpu().double().numpy(),
            test.cities[chosen],
            test.target[chosen],
            found[chosen],
        )
        moments = {
            epoch: Moment(points.double().numpy(), self._tours(points, test.cities))
            for epoch, points in moments_of(self.trainer).items()
        }
        if len(moments) > 1:
            figures["training"] = draw_moments(
                data.countries, true_points, moments, test.cities, test.target
            )
        return figures

    def _tours(self, points: Tensor, cities: Tensor) -> Tensor:
        """The tours (N, E) of instances (N, k) that points (C, 3) on the CPU lead to."""
        places = points.to(self.device)[cities.to(self.device)]
        return self.layer(edge_distances(places, self.distance)).cpu()
