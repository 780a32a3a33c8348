"""What a run remembers from epoch to epoch, kept in its checkpoints."""

import time
from collections.abc import Iterable
from typing import Any

from combgrad.guards.lightning import pl


class History(pl.callbacks.Checkpoint):
    """Curves of all metrics and the seconds spent, carried across interruptions.

    It is a `Checkpoint` because Lightning calls only those after the module has logged its epoch.
    The loggers hear of an epoch from here, and of all epochs before the one that a resumed run goes
    on with: some of them forget, such as Lightning's CSV, others begin a run of their own.

    `curves` maps a metric to its values and `epochs` to the epochs, counted from 0, that these are
    of: all, but for metrics that are not measured in each. `steps` has the steps done by an epoch;
    `seconds` has `train`, `eval` and `solver`, the solver's share of `train`; `run_key` ties a
    checkpoint to the run that may resume from it, and `run` says in plain values which one that is;
    `stopped` is whether a callback ended the training early.
    """

    def __init__(self, run_key: str = "") -> None:
        super().__init__()
        self.run_key = run_key
        self.run: dict[str, Any] = {}
        self.curves: dict[str, list[float]] = {}
        self.epochs: dict[str, list[int]] = {}
        self.seconds = {"train": 0.0, "eval": 0.0, "solver": 0.0}
        self.resumed_at: list[int] = []
        self.steps: list[int] = []
        self.stopped = False
        self._mark = 0.0
        self._eval_started = 0.0
        self._eval_mark = 0.0
        self._solver_mark = 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of the history."""
        return {
            "run_key": self.run_key,
            "run": self.run,
            "curves": self.curves,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "resumed_at": self.resumed_at,
            "steps": self.steps,
            "stopped": self.stopped,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the history of a checkpoint; ValueError where it belongs to another run."""
        if state_dict["run_key"] != self.run_key:
            raise ValueError(
                "the checkpoint in this output folder belongs to a run with other settings or "
                "other data; start without resume=true, or remove its `checkpoints` folder."
            )
        self.curves = state_dict["curves"]
        # Checkpoints of before have one value for each epoch.
        every = {name: list(range(len(curve))) for name, curve in self.curves.items()}
        self.epochs = state_dict.get("epochs", every)
        self.seconds = state_dict["seconds"]
        self.resumed_at = state_dict["resumed_at"]
        self.steps = state_dict["steps"]
        self.stopped = state_dict["stopped"]

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell the loggers what was before a resumption; what was stopped early stays stopped."""
        for epoch in range(len(self.steps)):
            self._tell(trainer.loggers, epoch)
        trainer.should_stop = self.stopped

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note where a resumed run goes on."""
        if trainer.current_epoch > 0:
            self.resumed_at.append(trainer.current_epoch)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clocks of an epoch."""
        self._mark = time.perf_counter()
        self._eval_mark = self.seconds["eval"]
        self._solver_mark = pl_module.layer.solver.seconds

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Start the clock of an evaluation, and stop the solver's."""
        self._eval_started = time.perf_counter()
        self._solver_mark -= pl_module.layer.solver.seconds

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Add an evaluation to its clock, and let the solver's go on."""
        self.seconds["eval"] += time.perf_counter() - self._eval_started
        self._solver_mark += pl_module.layer.solver.seconds

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Add the epoch's metrics to the curves and its seconds to the clocks."""
        spent = time.perf_counter() - self._mark
        self.seconds["train"] += spent - (self.seconds["eval"] - self._eval_mark)
        self.seconds["solver"] += pl_module.layer.solver.seconds - self._solver_mark
        for name, value in trainer.callback_metrics.items():
            if pl_module.measured_now(name):
                self.curves.setdefault(name, []).append(float(value))
                self.epochs.setdefault(name, []).append(trainer.current_epoch)
        self.steps.append(trainer.global_step)
        self.stopped = trainer.should_stop
        self._tell(trainer.loggers, trainer.current_epoch)

    @property
    def sparse(self) -> dict[str, list[int]]:
        """The epochs of those curves that do not have one value for each."""
        every = list(range(len(self.steps)))
        return {name: epochs for name, epochs in self.epochs.items() if epochs != every}

    def _tell(self, loggers: Iterable[pl.loggers.Logger], epoch: int) -> None:
        values = {
            name: curve[self.epochs[name].index(epoch)]
            for name, curve in self.curves.items()
            if epoch in self.epochs[name]
        }
        for logger in loggers:
            logger.log_metrics({**values, "epoch": epoch}, step=self.steps[epoch])
            logger.save()
