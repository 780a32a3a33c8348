"""What all experiments with predicted costs share: how decisions by them are measured and drawn."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from combgrad.data.decisions.datamodule import COLUMNS, Decisions
from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.decision_pictures import draw_decisions
from combgrad.experiments.fitting import check_forward, check_solves
from combgrad.instances import NOTHING, VALID, Instances
from combgrad.labels import Labels
from combgrad.losses import Outcome
from combgrad.metrics import cost_mse, cost_norm, is_cheapest, regret, unambiguous_regret
from combgrad.metrics.regret import by_best
from combgrad.pictures.decisions import draw_costs
from combgrad.solvers import Solver
from combgrad.solvers.spending import spent

#: Training instances that a solver is tried on, and test instances whose decisions are drawn.
TRIED, PICTURED = 8, 4

#: What rounding to single precision may change of what a solution costs, relative.
TOLERANCE = 1e-5


def instances_of(batch: Batch) -> Instances:
    """What a batch says of its instances to the solver, beside features, costs and solutions."""
    per_row = {name: rows for name, rows in batch.items() if name not in COLUMNS}
    valid = per_row.pop(VALID, None)
    return Instances(per_row, valid=valid) if per_row or valid is not None else NOTHING


def check_solves_alike(solver: Solver, batch: Batch, own: Solver) -> None:
    """IncompatibleError unless true costs have solutions that cost as much as those of the set.

    `own` is the solver of the set, for the message.
    """
    costs, target = batch["true_costs"].double(), batch["target"].double()

    def right() -> bool:
        found = solver(costs, instances_of(batch))
        slack = TOLERANCE * spent(costs.abs(), target.abs())
        return bool(((spent(costs, found) - spent(costs, target)).abs() <= slack).all())

    told = f"solve the problem of these data, whose solver is {own!r}; choose solver=of_data."
    check_solves(solver, right, told)


def size_of(costs: Tensor) -> Tensor:
    """The mean of |w| of each instance (B, *S), 1 where all are 0, as (B, 1, ...)."""
    size = costs.abs().flatten(1).mean(dim=1)
    return torch.where(size > 0, size, 1.0).view(-1, *[1] * (costs.dim() - 1))


class DecidingExperiment(Experiment):
    """Features -> costs w -> the decision y(w), measured by what it truly costs.

    A batch has `features` (B, *F), `true_costs` c and `target` y*, both (B, *S), and what else the
    solver takes of each instance. A subclass says what is trained on.

    Per instance there are, in the unit of c, the `regret` <c, y(w)> - <c, y*>, and `optimal`, 1
    where it is 0 within 1e-5; `cost_mse`, the mean of (w - c)^2, and `cost_norm`. While training
    only a loss that finds y(w) on its way gives the first two. Of a whole set there is
    `normalised_regret`, the sum of the regrets by that of |<c, y*>|. Tests measure the worst of
    several best decisions too, where solutions are of whole numbers: `unambiguous_regret` and
    `normalised_unambiguous_regret`; those are best that cost least once w is rounded to 1e-5 of its
    mean size. `solves` of the training is how many instances the solver is asked for by loss and
    gradient method, for each instance of a batch.

    Args:
        **parts: see Experiment; the network answers features with costs.

    Raises IncompatibleError for a network that answers nothing as a whole and, when the training
    starts, for a solver of another problem; then also ValueError where the true solutions of a
    split all cost 0.
    """

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        check_forward(self.net, "model=linear_costs")
        self.whole = True
        self._mark = self._asked = self._seen = 0

    @abstractmethod
    def outcome(self, costs: Tensor, labels: Labels, instances: Instances) -> Outcome:
        """The loss of costs (B, *S), with y(w) in an evaluation."""

    def prepare(self, data: Decisions) -> None:
        """Try the solver on instances of the data, and whether regrets can be normalised."""
        self.whole = data.collection.whole
        some = {name: rows[:TRIED] for name, rows in data.columns("train").items()}
        check_solves_alike(self.layer.solver, some, data.collection.solver())
        for split in ("val", "test"):
            columns = data.columns(split)
            by_best(torch.zeros(1), spent(columns["true_costs"], columns["target"]))

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of a batch of instances."""
        target, true_costs, known = batch["target"], batch["true_costs"], instances_of(batch)
        costs = self.net(batch["features"])
        if costs.shape != target.shape:
            raise IncompatibleError(
                f"model: {type(self.net).__name__} predicts costs of shape {tuple(costs.shape)}, "
                f"and those of these instances have {tuple(target.shape)}; choose "
                f"model=linear_costs, which follows the data."
            )
        outcome = self.outcome(costs, Labels(target, true_costs), known)
        costs = costs.detach()
        seen = known.without_padding(costs)
        values = {
            "cost_norm": cost_norm(seen),
            "cost_mse": cost_mse(seen, known.without_padding(true_costs)),
        }
        if outcome.solution is None:
            return outcome.loss, values
        found = outcome.solution.detach().double()
        best, true = known.zeroed(target.double()), known.zeroed(true_costs.double())
        values["regret"] = regret(found, best, true)
        values["optimal"] = is_cheapest(found, best, true, TOLERANCE)
        if stage == "test" and self.whole:
            solver, relative = self.layer.solver, costs.double() / size_of(known.zeroed(costs))
            values["unambiguous_regret"] = unambiguous_regret(
                solver, relative, best, true, known, TOLERANCE
            )
        if stage != "train":
            lost = {name: values[name] for name in values if name.endswith("regret")}
            self.keep(stage, best=spent(true, best), **lost)
        return outcome.loss, values

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """The normalised regrets of a whole set, and how often the training asked the solver."""
        if stage == "train":
            solves, self._asked, self._seen = self._asked / max(self._seen, 1), 0, 0
            return {"solves": torch.tensor(solves, device=self.device)}
        kept = self.kept(stage)
        best = kept.pop("best")
        return {f"normalised_{name}": by_best(lost, best) for name, lost in kept.items()}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Note how many instances the solver has been asked for."""
        del batch, batch_idx
        self._mark = self.layer.solver.solved

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add those of the step, its backward pass included."""
        del outputs, batch_idx
        self._asked += self.layer.solver.solved - self._mark
        self._seen += self.batch_size(batch)

    @torch.no_grad()
    def pictures(self, data: Decisions) -> dict[str, Any]:
        """Predicted against true costs of the test set, and a few decisions where they show."""
        self.eval()
        columns = {name: rows.to(self.device) for name, rows in data.columns("test").items()}
        costs = self.net(columns["features"])
        drawn = {"costs": draw_costs(costs.cpu().numpy(), columns["true_costs"].cpu().numpy())}
        some = {name: rows[:PICTURED] for name, rows in columns.items()}
        found = self.layer(costs[:PICTURED], some["target"], instances_of(some))
        some |= {"costs": costs[:PICTURED], "found": found}
        shown = {name: rows.cpu().numpy() for name, rows in some.items()}
        decisions = draw_decisions(data.collection, shown)
        return drawn if decisions is None else {**drawn, "decisions": decisions}
