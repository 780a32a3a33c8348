"""What all experiments share: one step for all stages, exact epoch means, repeatable epochs.

Beside `step`, a subclass may say what it takes from its data (`prepare`), what is measured over a
whole set (`keep`, `epoch_metrics`), how many instances a batch has (`batch_size`), and which
parameters have a learning rate of their own (`parameter_groups`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from combgrad.arguments import brief, check_count
from combgrad.experiments.fitting import check_choices
from combgrad.experiments.measuring import Means, Rows
from combgrad.experiments.rates import check_rates, groups_of
from combgrad.guards.lightning import pl
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Loss, Outcome
from combgrad.solvers.arrays import single
from combgrad.solvers.solution_pool import pool_of

Batch = dict[str, Tensor]
OptimizerFactory = Callable[[Iterable[dict[str, Any]]], torch.optim.Optimizer]


class Experiment(pl.LightningModule, ABC):
    """A network, a combinatorial layer and an optimizer; a subclass adds `step`.

    Every epoch starts from a random state that depends on (seed, epoch) alone, and the learning
    rate on the epoch alone, so that a run resumed at an epoch equals an uninterrupted one.

    Args:
        net: predicts the costs, or what they are computed from.
        layer: solves them.
        optimizer: makes the optimizer from the groups of parameters.
        schedule: maps progress (0 to 1) to a factor of the learning rate, or None.
        seed: of the random numbers drawn while training.
        loss: what is trained on; None for a task whose loss is its own.
        provides: the labels that a batch has, for a loss and a margin; None for such a task.
        rates: learning rates of parts of the network, by name, instead of the optimizer's.
        epoch_metrics_every: metrics of whole sets are found after the first epoch, every so many
            epochs from there, and after the last.

    Raises IncompatibleError where loss or margin need labels that the task does not have, or the
    gradient method would not be asked.
    """

    def __init__(
        self,
        net: nn.Module,
        layer: CombinatorialLayer,
        optimizer: OptimizerFactory,
        schedule: Callable[[float], float] | None = None,
        seed: int = 0,
        loss: Loss | None = None,
        provides: Iterable[str] | None = None,
        rates: Mapping[str, float] | None = None,
        epoch_metrics_every: int = 1,
    ) -> None:
        super().__init__()
        check_choices(type(self).__name__.removesuffix("Experiment"), layer, loss, provides)
        check_rates(net, rates or {})
        check_count("epoch_metrics_every", epoch_metrics_every, "task")
        self.net = net
        self.layer = layer
        self.seed = seed
        self._loss = loss
        self._optimizer = optimizer
        self._schedule = schedule
        self._base_rates: list[float] = []
        self._rates = dict(rates or {})
        self._every = epoch_metrics_every
        self._means: dict[str, Means] = {}
        self._rows: dict[str, Rows] = {}
        self._measured_at: dict[str, int] = {}

    def setup(self, stage: str) -> None:
        """Take from the data module what the experiment needs of it.

        The pools of solutions that loss and solver have start with the true ones of the training
        set.
        """
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.prepare(data)
        for pool in (pool_of(self._loss), self.layer.pool):
            if pool is None or stage != "fit":
                continue
            target = data.columns("train").get("target")
            if target is not None:
                pool.add(target[torch.arange(min(len(target), pool.size))])

    def prepare(self, data: Any) -> None:
        """Take from the data what is no row of a batch; called before training and testing.

        `data` is the data module, set up; a subclass names its type.
        """

    def judge(self, costs: Tensor, labels: Labels, instances: Instances | None = None) -> Outcome:
        """The loss of costs (B, *S), and y(w) where it is found on the way or not in training."""
        assert self._loss is not None  # check_choices refuses a task that asks for this without one
        outcome = self._loss(self.layer, costs, labels, instances)
        if outcome.solution is None and not self.training:
            return Outcome(outcome.loss, self.layer(costs, labels.target, instances))
        return outcome

    @abstractmethod
    def step(self, batch: Any, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, a scalar, and its metrics, each of shape (B,).

        `stage` is `train`, `val` or `test`.
        """

    def batch_size(self, batch: Any) -> int:
        """How many instances a batch has; a subclass says it whose batches are no dicts of rows."""
        if not isinstance(batch, Mapping):
            raise ValueError(
                f"a batch is of type {type(batch).__name__}; a data module's loaders must give "
                f"dicts of tensors (B, ...), as combgrad.data.batches.Table does, or "
                f"{type(self).__name__} must have a batch_size(batch) of its own."
            )
        return len(next(iter(batch.values())))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters by their learning rate, as an optimizer takes them."""
        return groups_of(self, {f"net.{part}": rate for part, rate in self._rates.items()})

    def epoch_metrics(self, stage: str) -> dict[str, Tensor]:
        """Metrics of a whole set, each a scalar, by name; `kept` has the rows that `step` kept.

        Not asked in every epoch where `epoch_metrics_every` says so.
        """
        del stage
        return {}

    def reported_as(self, stage: str) -> tuple[str, ...]:
        """The names of the stages that the means of one are also those of."""
        return (stage,)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer over all parameters."""
        optimizer = self._optimizer(self.parameter_groups())
        self._base_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_fit_start(self) -> None:
        """Tell the layer how many processes share a batch, and how the loss is scaled.

        Raises IncompatibleError where it must know the scale and cannot.
        """
        self.layer.shares = self.trainer.world_size
        precision = self.trainer.precision_plugin
        scaler = getattr(precision, "scaler", None)
        self.layer.loss_scale = scaler.get_scale if scaler is not None else 1.0
        if scaler is None and precision.precision == "16-mixed":
            # A strategy such as DeepSpeed's scales the loss out of sight.
            self.layer.loss_scale = None
            self.layer.check_loss_scale()

    def on_train_epoch_start(self) -> None:
        """Set all that depends on the epoch: random state, margin, learning rate."""
        epoch, epochs = self.current_epoch, self.trainer.max_epochs or 1
        torch.manual_seed((self.seed * 10_007 + epoch) * 1_009 + self.global_rank)
        self.layer.set_epoch(epoch, epochs)
        factor = self._schedule(epoch / epochs) if self._schedule is not None else 1.0
        optimizer = self.trainer.optimizers[0]
        for group, rate in zip(optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor

    def measure(self, name: str, value: Tensor) -> None:
        """Set a metric of the epoch, such as `val/loss`, a scalar.

        It reaches the curves, the record and the loggers through `History`.
        """
        if not self.trainer.sanity_checking:
            self._measured_at[name] = self.current_epoch
        self.log(name, value, sync_dist=self._several, logger=False)

    def measured_now(self, name: str) -> bool:
        """Whether Lightning's value of a metric is of this epoch and not left from an earlier."""
        return self._measured_at.get(name, self.current_epoch) == self.current_epoch

    def asks_epoch_metrics(self, stage: str) -> bool:
        """Whether `epoch_metrics` is asked at the end of this epoch, so that rows need be kept."""
        if stage == "test" or self.trainer.sanity_checking:
            return True
        epoch, epochs = self.current_epoch, self.trainer.max_epochs
        return epoch % self._every == 0 or epoch + 1 == epochs

    def add_mean(self, stage: str, name: str, mean: Tensor, size: int) -> None:
        """Let the mean of `size` values, a scalar, take part in that of the epoch."""
        self._means.setdefault(stage, Means()).add(name, single(mean) * size, size)

    def keep(self, stage: str, **rows: Tensor) -> None:
        """Keep rows (B, ...) of a batch for `epoch_metrics`, wherever they are; none in vain."""
        if self.asks_epoch_metrics(stage):
            for name, values in rows.items():
                self._rows.setdefault(stage, Rows()).add(name, values)

    def kept(self, stage: str) -> dict[str, Tensor]:
        """The rows (N, ...) kept in this epoch, by name, of all processes in the data's order."""

        def gather(rows: Tensor) -> Tensor:
            return self.all_gather(rows)  # type: ignore[return-value]

        return self._rows[stage].take(gather if self._several else None)

    @property
    def _several(self) -> bool:
        return self.trainer.world_size > 1

    def _add(self, batch: Any, stage: str) -> Tensor:
        size = self.batch_size(batch)
        loss, values = self._checked(self.step(batch, stage), stage)
        self._check(f"step({stage!r})", "loss", loss, (), "the mean over the batch")
        for name, value in values.items():
            what = "one number for each instance and no mean"
            self._check(f"step({stage!r})", name, value, (size,), what)
        self.add_mean(stage, "loss", loss, size)
        for name, value in values.items():
            self._means[stage].add(name, single(value.detach()).sum(), size)
        return loss

    def _checked(self, answer: Any, stage: str) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What `step` answered; ValueError for what is no loss with metrics, as in Lightning."""
        if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], Mapping):
            if "loss" in answer[1]:
                raise ValueError(
                    f"{type(self).__name__}.step({stage!r}) gives a metric named 'loss', as the "
                    f"loss itself is called, and both would become one mean; call it otherwise."
                )
            return answer
        told = brief(answer) if not isinstance(answer, Tensor) else "a tensor alone"
        raise ValueError(
            f"{type(self).__name__}.step({stage!r}) gives {told}; it must return the loss and its "
            f"metrics, loss, {{name: values of shape (B,)}}, and {{}} where there are none."
        )

    def _check(self, where: str, name: str, value: Any, wanted: tuple[int, ...], what: str) -> None:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape != wanted:
            raise ValueError(
                f"{type(self).__name__}.{where} gives {name!r} of shape {shape}; it must be "
                f"{what}, of shape {wanted}."
            )

    def _report(self, stage: str) -> None:
        # One call an epoch: Lightning's own running means cost more than a small network.
        def total(sums: Tensor) -> Tensor:
            return self.trainer.strategy.reduce(sums, reduce_op="sum")

        for name, mean in self._means.pop(stage).take(total if self._several else None).items():
            for also in self.reported_as(stage):
                self.measure(f"{also}/{name}", mean)
        if self.asks_epoch_metrics(stage):
            with torch.no_grad():
                found = self.epoch_metrics(stage)
            for name, value in found.items():
                self._check(f"epoch_metrics({stage!r})", name, value, (), "one number")
                self.measure(f"{stage}/{name}", value)
        self._rows.pop(stage, None)

    def training_step(self, batch: Any, batch_index: int) -> Tensor:
        """One step of training."""
        del batch_index
        return self._add(batch, "train")

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means."""
        self._report("train")

    def validation_step(self, batch: Any, batch_index: int) -> None:
        """One batch of validation."""
        del batch_index
        self._add(batch, "val")

    def test_step(self, batch: Any, batch_index: int) -> None:
        """One batch of the test."""
        del batch_index
        self._add(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Log the validation's means."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Log the test's means."""
        self._report("test")

    def pictures(self, data: Any) -> dict[str, Any]:
        """Figures of the trained model by file name; none unless a subclass draws some."""
        del data
        return {}
