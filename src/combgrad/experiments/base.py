"""What all experiments share: one step for all stages, exact epoch means, repeatable epochs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from combgrad.compatibility import name_of
from combgrad.errors import IncompatibleError
from combgrad.gradients import Identity
from combgrad.guards.lightning import pl
from combgrad.labels import Labels, check_needs
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Loss, Outcome

Batch = dict[str, Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def drops(at: Iterable[float], factor: float) -> Callable[[float], float]:
    """A learning-rate schedule: multiply by `factor` at each fraction `at` of the training.

    The result maps progress from 0 to 1 to the factor of the base learning rate.
    """
    fractions = sorted(at)
    if not all(isinstance(number, int | float) for number in (*fractions, factor)):
        raise ValueError(f"schedule has at={fractions} and factor={factor!r}; give numbers.")
    return lambda progress: factor ** sum(progress >= fraction for fraction in fractions)


def check_choices(
    task: str, layer: CombinatorialLayer, loss: Loss | None, provides: Iterable[str]
) -> None:
    """Raise IncompatibleError where a task cannot train what was chosen, with the remedy."""
    provides = frozenset(provides)
    if layer.margin is not None:
        remedy = "use margin=noise or margin=none"
        check_needs(f"{name_of(layer.margin)} of {task}", layer.margin.needs, provides, remedy)
    if loss is None:
        if provides:
            raise IncompatibleError(f"{task} has no loss of its own; choose one, as loss=hamming.")
        return
    if not provides:
        raise IncompatibleError(
            f"{task} has a loss of its own, which {name_of(loss)} cannot replace; leave out loss=."
        )
    check_needs(f"{name_of(loss)} of {task}", loss.needs, provides, "choose another loss")
    if not (loss.through_layer or isinstance(layer.gradient, Identity)):
        raise IncompatibleError(
            f"{name_of(loss)} is a loss of the costs and asks no gradient method, so "
            f"{name_of(layer.gradient)} would be ignored; leave out grad=, or take a loss of the "
            f"solution such as loss=hamming."
        )


class Experiment(pl.LightningModule, ABC):
    """A network, a combinatorial layer and an optimizer; a subclass adds `step`.

    Every epoch starts from a random state that depends on (seed, epoch) alone, and the learning
    rate on the epoch alone, so that a run resumed at an epoch equals an uninterrupted one.

    Args:
        net: predicts the costs, or what they are computed from.
        layer: solves them.
        optimizer: makes the optimizer from the parameters.
        schedule: maps progress (0 to 1) to a factor of the learning rate, or None.
        seed: of the random numbers drawn while training.
        loss: what is trained on; None for a task whose loss is its own.
        provides: the labels that a batch has, for a loss and a margin; none for such a task.

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
        provides: Iterable[str] = (),
    ) -> None:
        super().__init__()
        check_choices(type(self).__name__.removesuffix("Experiment"), layer, loss, provides)
        self.net = net
        self.layer = layer
        self.seed = seed
        self._loss = loss
        self._optimizer = optimizer
        self._schedule = schedule
        self._base_rates: list[float] = []
        self._totals: dict[str, dict[str, Tensor]] = {}
        self._counts: dict[str, int] = {}

    def judge(self, costs: Tensor, labels: Labels) -> Outcome:
        """The loss of costs (B, *S), and y(w) where it is found on the way or not in training."""
        assert self._loss is not None  # check_choices refuses a task that asks for this without one
        outcome = self._loss(self.layer, costs, labels)
        if outcome.solution is None and not self.training:
            return Outcome(outcome.loss, self.layer(costs, target=labels.target))
        return outcome

    @abstractmethod
    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, a scalar, and its metrics, each of shape (B,).

        `stage` is `train`, `val` or `test`.
        """

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer over all parameters."""
        optimizer = self._optimizer(self.parameters())
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

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the gradient method has learned."""
        checkpoint["gradient"] = self.layer.gradient.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with it."""
        self.layer.gradient.load_state_dict(checkpoint.get("gradient", {}))

    def on_train_epoch_start(self) -> None:
        """Set all that depends on the epoch: random state, margin, learning rate."""
        epoch, epochs = self.current_epoch, self.trainer.max_epochs or 1
        torch.manual_seed((self.seed * 10_007 + epoch) * 1_009 + self.global_rank)
        self.layer.set_epoch(epoch, epochs)
        factor = self._schedule(epoch / epochs) if self._schedule is not None else 1.0
        optimizer = self.trainer.optimizers[0]
        for group, rate in zip(optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * factor

    def measure(self, name: str, value: Tensor, several: bool = False) -> None:
        """Set a metric of the epoch, such as `val/loss`, a scalar; `several` processes take part.

        It reaches the curves, the record and the loggers through `History`.
        """
        self.log(name, value, sync_dist=several, logger=False)

    def _add(self, batch: Batch, stage: str) -> Tensor:
        if not isinstance(batch, Mapping):
            raise ValueError(
                f"the {stage} batches are of type {type(batch).__name__}; a data module's loaders "
                f"must give dicts of tensors (B, ...), as combgrad.data.batches.batches does."
            )
        loss, values = self.step(batch, stage)
        size = len(next(iter(batch.values())))
        self._check(stage, "loss", loss, (), "the mean over the batch")
        for name, value in values.items():
            self._check(stage, name, value, (size,), "one number for each instance and no mean")
        totals = self._totals.setdefault(stage, {})
        for name, value in {"loss": loss * size, **values}.items():
            total = value.detach().sum()
            totals[name] = totals[name] + total if name in totals else total
        self._counts[stage] = self._counts.get(stage, 0) + size
        return loss

    def _check(self, stage: str, name: str, value: Any, wanted: tuple[int, ...], what: str) -> None:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        if shape != wanted:
            raise ValueError(
                f"{type(self).__name__}.step({stage!r}) gives {name!r} of shape {shape}; it must "
                f"be {what}, of shape {wanted}."
            )

    def _report(self, stage: str) -> None:
        # One call an epoch: Lightning's own running means cost more than a small network.
        totals, count = self._totals.pop(stage), self._counts.pop(stage)
        several = self.trainer.world_size > 1
        sums = torch.stack([*totals.values(), torch.full_like(next(iter(totals.values())), count)])
        if several:
            # The mean of the processes' means would be wrong where their shares differ in size.
            sums = self.trainer.strategy.reduce(sums, reduce_op="sum")
        for name, mean in zip(totals, sums[:-1] / sums[-1], strict=True):
            self.measure(f"{stage}/{name}", mean, several)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One step of training."""
        del batch_index
        return self._add(batch, "train")

    def on_train_epoch_end(self) -> None:
        """Log the epoch's means."""
        self._report("train")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """One batch of validation."""
        del batch_index
        self._add(batch, "val")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """One batch of the test."""
        del batch_index
        self._add(batch, "test")

    def on_validation_epoch_end(self) -> None:
        """Log the validation's means."""
        self._report("val")

    def on_test_epoch_end(self) -> None:
        """Log the test's means."""
        self._report("test")

    def pictures(self, datamodule: Any) -> dict[str, Any]:
        """Figures of the trained model by file name; none unless a subclass draws some."""
        del datamodule
        return {}
