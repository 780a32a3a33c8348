"""The parts of a run, built from its configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from combgrad.data.datamodule import checked_fingerprint
from combgrad.experiments import Experiment
from combgrad.experiments.checkpoints import Checkpoints, WholeFiles
from combgrad.experiments.denormals import WithoutDenormals
from combgrad.experiments.history import History
from combgrad.files.installation import program
from combgrad.gradients.noise import GradientNoise
from combgrad.guards.lightning import pl
from combgrad.layer import CombinatorialLayer
from combgrad.results.identity import digest, run_key
from combgrad.results.migrations import FORMAT
from combgrad.runs.configuration import scientific
from combgrad.runs.debugging import repeat_batches, trainer_arguments
from combgrad.runs.environment import for_loggers, hidden_environment
from combgrad.runs.stopping import AnswersSignals

#: How Lightning says that it cannot do what it was asked for.
REFUSALS = (
    pl.utilities.exceptions.MisconfigurationException,
    ImportError,
    TypeError,
    ValueError,
)


@dataclass
class Parts:
    """What a configuration describes, built."""

    experiment: Experiment
    data: Any
    trainer: pl.Trainer
    history: History
    checkpoints: Path
    key: str


def build_layer(config: DictConfig) -> CombinatorialLayer:
    """The layer of a configuration; IncompatibleError where its parts do not fit."""

    def part(node: DictConfig) -> Any:
        return instantiate(node) if node else None

    sigma = config.corruption.gradient_sigma
    return CombinatorialLayer(
        solver=instantiate(config.solver),
        gradient=instantiate(config.grad),
        projection=part(config.proj),
        margin=part(config.margin),
        gradient_noise=GradientNoise(sigma) if sigma != 0 else None,
    )


def build_experiment(config: DictConfig) -> Experiment:
    """Network, layer and optimizer; ValueError where the optimizer refuses its settings."""
    layer = build_layer(config)
    experiment: Experiment = instantiate(config.task)(
        net=instantiate(config.model),
        layer=layer,
        loss=instantiate(config.loss) if config.loss else None,
        optimizer=instantiate(config.optimizer),
        schedule=instantiate(config.schedule) if config.schedule else None,
        seed=config.seed,
    )
    try:
        experiment.configure_optimizers()  # only to see whether it can be made
    except (TypeError, ValueError) as error:
        given = (f"optimizer.{k}={v!r}" for k, v in config.optimizer.items() if k[0] != "_")
        raise ValueError(f"no optimizer can be made with {', '.join(given)}: {error}") from error
    return experiment


def build_trainer(config: DictConfig, callbacks: list[pl.Callback], by_command: bool) -> pl.Trainer:
    """Lightning's trainer; ValueError where it cannot do what is asked for here."""
    own = (config.trainer.get("plugins") and instantiate(config.trainer.plugins)) or []
    plugins = [WholeFiles(), *(own if isinstance(own, list | ListConfig) else [own])]
    with hidden_environment():  # instantiate() resolves texts that were to stay
        loggers = [instantiate(node) for node in for_loggers(config)]
    make = instantiate(config.trainer, default_root_dir=config.paths.output)
    debugging = trainer_arguments(config)
    try:
        trainer: pl.Trainer = make(
            **{**debugging, "logger": loggers, "callbacks": callbacks, "plugins": plugins}
        )
    except REFUSALS as error:
        raise ValueError(
            f"trainer: {str(error).strip()} (trainer=default takes whatever device is at hand)"
        ) from error
    if trainer.world_size > 1 and not by_command:
        raise ValueError(
            f"this run has {trainer.world_size} processes, which Lightning starts by the command "
            f"line of the first; start it by {program()}, or set trainer.devices=1."
        )
    return trainer


def build(config: DictConfig, by_command: bool = False) -> Parts:
    """Everything a run needs; the cheap checks come first, the data last.

    `by_command` is whether the command line of this process means this very run.
    """
    torch.manual_seed(config.seed)
    experiment = build_experiment(config)
    folder = Path(config.paths.output) / "checkpoints"
    history = History()
    checkpoints = Checkpoints(folder, config.monitor.metric, config.monitor.mode)
    others = [instantiate(node) for node in config.callbacks.values()]
    callbacks = [AnswersSignals(), WithoutDenormals(), *others, history, checkpoints]
    trainer = build_trainer(config, callbacks, by_command)
    data = instantiate(config.data)
    repeat_batches(data, config)
    describe_run(history, config, checked_fingerprint(data))
    return Parts(experiment, data, trainer, history, folder, history.run_key)


def describe_run(history: History, config: DictConfig, fingerprint: str) -> None:
    """Tell a history of which run it is; one with a debug option has a key of its own."""
    chosen = scientific(config)
    debug = str(config.debug.name) if config.debug else ""
    key = run_key(chosen, fingerprint)
    history.run_key = digest(key, debug) if debug else key
    history.run = {"config": chosen, "data": fingerprint, "debug": debug, "format": FORMAT}
