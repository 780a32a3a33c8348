"""Composed configurations: how to get one, what of it is science, and what a run is called."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from combgrad.files.installation import program
from combgrad.results.identity import digest, identity
from combgrad.runs.callbacks import deciding_callbacks
from combgrad.runs.checks import check_configuration, without_hydra
from combgrad.runs.commented import commented
from combgrad.runs.distinctions import differing, file_word, flat, labels, shortened
from combgrad.runs.environment import check_science, from_environment, literal
from combgrad.runs.places import CONFIG_FOLDER, absolute, checked_configs

#: Top-level nodes that say where, how and how visibly to run, but not what is computed; whatever is
#: not listed counts. (Of the callbacks those count that `deciding_callbacks` finds.)
NEUTRAL_NODES = frozenset(
    {
        "budget",
        "callbacks",
        "checkpoint",
        "choices",
        "debug",
        "dry",
        "environment",
        "figure",
        "group",
        "logger",
        "mode",
        "name",
        "overrides",
        "paths",
        "pictures",
        "profile",
        "progress_bar",
        "rerun",
        "resume",
        "seeds",
        "sweep",
        "table",
        "threads",
    }
)

#: The same for single values inside the other nodes.
NEUTRAL_VALUES = frozenset(
    {
        "backbone.file",
        "data.backbone",  # a copy of the node `backbone`, which counts
        "data.cache",
        "data.path",
        "data.url",
        "data.workers",
        "model.backbone",
        "model.collection",  # copies of data.collection, which counts
        "solver.collection",
        "trainer.accelerator",
        "trainer.devices",
        "trainer.enable_model_summary",
        "trainer.enable_progress_bar",
        "trainer.log_every_n_steps",
        "trainer.num_sanity_val_steps",
        "trainer.strategy",
    }
)

#: Config groups whose option stands in a run's name, and values that do.
NAMED_GROUPS = ("experiment", "grad", "proj", "margin", "profile")
TOLD_VALUES = frozenset(
    {"seed", "margin.alpha", "corruption.gradient_sigma", "corruption.label_rho"}
)


def scientific(config: DictConfig) -> dict[str, Any]:
    """The part of a configuration that decides the result, resolved, as plain containers."""
    chosen: dict[str, Any] = {}
    for node in config:
        name = str(node)
        if name in NEUTRAL_NODES or name == "hydra":
            continue
        value = config[name]
        if isinstance(value, DictConfig):
            keys = [key for key in map(str, value) if f"{name}.{key}" not in NEUTRAL_VALUES]
            chosen[name] = {key: _plain(value[key]) for key in keys}
        else:
            chosen[name] = _plain(value)
    callbacks = deciding_callbacks(config, CONFIG_FOLDER / "callbacks" / "default.yaml")
    return {**chosen, "callbacks": callbacks} if callbacks else chosen


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def chosen_options(config: DictConfig) -> dict[str, str]:
    """The chosen option of each config group, Hydra's own left out."""
    return {str(key): str(value) for key, value in config.choices.items() if "hydra" not in key}


def profile_label(config: DictConfig) -> str:
    """The chosen profile, or `custom` where a number it sets was overridden."""
    budget = config.budget[config.profile.name]
    data = {name: config.data[name] for name in map(str, budget) if name in config.data}
    same = config.size == budget and config.trainer.max_epochs == budget.epochs
    same = same and not any(_key(word).startswith("budget") for word in config.overrides)
    same = same and all(budget[name] == value for name, value in data.items())
    return str(config.profile.name) if same else "custom"


def run_name(config: DictConfig) -> str:
    """A readable name such as `tsp5-identity-std-noise0.2-sigma0.5-paper-seed0`.

    What else differs from the usual stands before the profile: `...-std-none-lr0.01-paper-seed0`;
    that it is no training for a record at the end: `...-seed0-test`, `...-seed0-debug_fast`.
    """
    choices = config.choices
    margin = str(choices.margin)
    if "alpha" in config.margin:
        margin = f"{margin}{config.margin.alpha:g}"
    wrong = {"sigma": config.corruption.gradient_sigma, "rho": config.corruption.label_rho}
    parts = (
        *(choices.experiment, choices.grad, choices.proj, margin),
        *(f"{name}{amount:g}" for name, amount in wrong.items() if amount),
    )
    more = [shortened(text)] if (text := "-".join(distinctions(config))) else []
    apart = [f"debug_{config.debug.name}"] if config.debug else []
    apart += ["test"] if config.mode == "test" else []
    told = (*parts, *more, profile_label(config), f"seed{config.seed}", *apart)
    return "-".join(map(str, told))


def distinctions(config: DictConfig) -> list[str]:
    """Short words for the options and values that differ from those its name implies.

    `["sgd", "lr0.01"]`, say; none where nothing was asked for that the name does not tell.
    """
    if not any(map(_untold, config.overrides)):
        return []
    choices = chosen_options(config)
    words = tuple(f"{group}={choices[group]}" for group in NAMED_GROUPS)
    try:
        usual = _usual(words)
        others = {
            group: option
            for group, option in choices.items()
            if usual.choices.get(group) != option and group not in NEUTRAL_NODES
        }
        near = _usual((*words, *(f"{group}={option}" for group, option in others.items())))
    except (HydraException, OmegaConfBaseException):
        # Nothing is usual beside an option that needs further words; let the words speak.
        return [file_word(word) for word in config.overrides if _untold(word)]
    said = [option for group, option in others.items() if _matters(group, usual, near)]
    typed = {_key(word) for word in config.overrides}
    # The sizes follow from the budget, which is no science itself.
    typed |= {"size"} if any(key.startswith("budget.") for key in typed) else set()
    told = TOLD_VALUES | (near.derived - typed)
    return [*said, *labels(differing(flat(identity(scientific(config))), near.values, told))]


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0].partition("@")[0]


def _untold(word: str) -> bool:
    key = _key(word)
    top = key.partition(".")[0].partition("/")[0]
    silent = NEUTRAL_NODES - {"budget", "callbacks"}
    return key not in (*NAMED_GROUPS, *TOLD_VALUES, *NEUTRAL_VALUES) and top not in silent


@dataclass(frozen=True)
class _Usual:
    """What some choices alone compose to: the flat identity, and which of it follows from what."""

    choices: dict[str, str]
    values: dict[str, Any]
    derived: frozenset[str]


@functools.lru_cache(maxsize=512)
def _usual(words: tuple[str, ...]) -> _Usual:
    # Its own `paths.output`, because the usual one would ask for the name again.
    overrides = [*words, "paths.output=unnamed"]
    config = _config_loader().load_configuration("train", overrides, RunMode.RUN)
    choices = {str(k): str(v) for k, v in config.hydra.runtime.choices.items() if "hydra" not in k}
    raw = flat(OmegaConf.to_container(config, resolve=False))  # type: ignore[arg-type]
    derived = frozenset(key for key, value in raw.items() if "${" in str(value))
    return _Usual(choices, flat(identity(scientific(config))), derived)


def _config_loader() -> Any:
    """The loader of the running program; one of our own where there is none."""
    if GlobalHydra.instance().is_initialized():
        return GlobalHydra.instance().config_loader()
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        return GlobalHydra.instance().config_loader()


def _matters(group: str, usual: _Usual, near: _Usual) -> bool:
    """Whether another option of a group changes the science; unsaid where the group has no node."""
    found = [_part(group, composed) for composed in (usual, near)]
    return found[0] != found[1] or not any(found)


def _part(group: str, composed: _Usual) -> dict[str, Any]:
    return {k: value for k, value in composed.values.items() if k.startswith(f"{group}.")}


def run_folder(config: DictConfig) -> str:
    """The run's folder below `outputs`: its name and a digest of its identity."""
    return f"{run_name(config)}-{digest(identity(scientific(config)))[:8]}"


def judged_by(config: DictConfig) -> str:
    """The metric of the test that a run is judged by: that of the validation that is monitored."""
    return str(config.monitor.metric).replace("val/", "test/")


def record_folders(config: DictConfig) -> tuple[Path, Path]:
    """Where records are looked for: the committed ones, and those of this user."""
    return Path(config.paths.committed).absolute(), Path(config.paths.results).absolute()


def run_group(config: DictConfig) -> str:
    """What loggers group a run by: the table or figure it is run for, or else its experiment."""
    return str(config.group or config.choices.experiment)


def start_folder() -> str:
    """Where the command was started, also where Hydra has changed into the run's folder since."""
    return HydraConfig.get().runtime.cwd if HydraConfig.initialized() else os.getcwd()


def run_place(config: DictConfig) -> str:
    """The folder that Hydra makes for a run, once it is known that the run can do what it is told.

    Raises ConfigurationError.
    """
    check_configuration(config)
    return absolute(str(config.paths.output), start_folder())


def register_resolvers() -> None:
    """Make `${run_name:}`, `${start_folder:}`, `${program:}` and their like known."""
    for function in (run_name, run_folder, run_group, run_place, commented):
        OmegaConf.register_new_resolver(
            function.__name__,
            lambda *, _root_, function=function: function(_root_),
            replace=True,
        )
    # Hydra reads the sweep's folder before `${hydra:runtime.cwd}` can be resolved.
    OmegaConf.register_new_resolver("start_folder", start_folder, replace=True)
    OmegaConf.register_new_resolver("program", program, replace=True)


def resolved(config: DictConfig) -> DictConfig:
    """A checked, resolved, read-only copy without the `hydra` node; of such a copy, another one.

    Resolved up front because instantiation resolves interpolations in place, and read-only so that
    what is recorded is what was run. Paths are absolute; `overrides` are the words as they were
    typed, and `environment` has the text of each value that environment variables gave.

    Raises ConfigurationError where something in it would be ignored.
    """
    copy = without_hydra(config)
    if "environment" not in copy:
        check_configuration(config)
        copy = _settled(copy)
        check_science(copy, scientific)
    OmegaConf.set_readonly(copy, True)
    return copy


def _settled(config: DictConfig) -> DictConfig:
    """Resolved, with absolute paths and the words as they were typed."""
    environment = from_environment(config)
    places = (*(f"paths.{name}" for name in config.paths), "checkpoint", "data.path", "data.cache")
    for key in places:
        path = OmegaConf.select(config, key)
        if isinstance(path, str):
            OmegaConf.update(config, key, literal(absolute(path, start_folder())))
    words = OmegaConf.to_container(config.overrides, resolve=False)
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return OmegaConf.create(literal({**plain, "overrides": words, "environment": environment}))


def profile_names(folder: Path = CONFIG_FOLDER) -> list[str]:
    """All profiles there are."""
    return sorted(path.stem for path in (checked_configs(folder) / "profile").glob("*.yaml"))


def compose_lazily(overrides: Sequence[str] = (), folder: Path | str = CONFIG_FOLDER) -> DictConfig:
    """The configuration of OVERRIDES with its interpolations still open."""
    register_resolvers()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(checked_configs(Path(folder))), version_base="1.3"):
        full = hydra.compose("train", list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(full)
    return full


def compose(overrides: Sequence[str] = (), folder: Path | str = CONFIG_FOLDER) -> DictConfig:
    """The configuration that `python train.py OVERRIDES...` would run, for notebooks and tests."""
    return resolved(compose_lazily(overrides, folder))
