"""What to say of a key on the command line that the configuration does not have."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from combgrad.runs.checks.arguments import takes
from combgrad.runs.checks.options import option_names, options_setting, options_with, value_of
from combgrad.runs.checks.reads import BUILT, leaves, references
from combgrad.runs.configuration import compose_lazily

#: Names that people know from elsewhere.
ALIASES = {
    "accelerator": "trainer.accelerator",
    "batch_size": "data.batch_size",
    "device": "trainer.accelerator",
    "devices": "trainer.devices",
    "epochs": "trainer.max_epochs",
    "gpus": "trainer.devices",
    "lambda": "grad.lam",
    "learning_rate": "optimizer.lr",
    "method": "grad",
    "num_epochs": "trainer.max_epochs",
    "output_dir": "paths.root",
    "projection": "proj",
    "wandb": "logger",
}


@contextmanager
def _hydra_left_alone() -> Iterator[None]:
    hydra, config = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    try:
        yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = hydra, config


def valid_keys(key: str, arguments: Sequence[str]) -> str:
    """The key that was meant, where one is close, or else those that exist in its place."""
    if key.startswith("choices."):
        return f"What was chosen is noted there; write {key.removeprefix('choices.')}=<option>."
    others = [word for word in arguments if "=" in word and not word.lstrip("+~").startswith(key)]
    with _hydra_left_alone():
        try:
            config = compose_lazily([word for word in others if "," not in word])
        except HydraException:
            config = compose_lazily()
        parent, _, name = key.rpartition(".")
        return (
            _of_group(key, config)
            or _of_followed(key, config)
            or _of_default(parent, name, config)
            or _of_others(parent, name, config)
        )


def _of_group(key: str, config: DictConfig) -> str:
    names = option_names(key)
    if not names:
        return ""
    if value_of(config, key) is None:
        having = options_with(re.compile(rf"^ *- (override )?/{key}: ", re.MULTILINE))
        tasks = " or ".join(option for option in having if option.startswith("task="))
        return f"The chosen experiment has no {key}, only those of {tasks} have; leave it out."
    return (
        f"The experiment sets {key} itself; write +{key}=<option> to put one of "
        f"{', '.join(names)} in its place."
    )


def _of_followed(key: str, config: DictConfig) -> str:
    """For a key below a node that stands for another one, such as `size.epochs`."""
    texts = dict(leaves(OmegaConf.to_container(config, resolve=False)))
    for node, text in texts.items():
        if key.startswith(f"{node}.") and (names := references(text, node, config)):
            followers = [other for other, value in texts.items() if value == f"${{{key}}}"]
            if not followers:
                return ""
            source = names[-1] + key.removeprefix(node)
            return f"It follows {source}; set {' or '.join([*followers, source])} instead."
    return ""


def _of_default(parent: str, name: str, config: DictConfig) -> str:
    """For an argument that has a default and is not in the configuration."""
    node: Any = value_of(config, parent) if parent else None
    if isinstance(node, DictConfig) and takes(node, parent, name):
        return f"It is left at its default; write +{parent}.{name}=<value> to set it."
    return ""


def _of_others(parent: str, name: str, config: DictConfig) -> str:
    node: Any = value_of(config, parent) if parent else config
    while not isinstance(node, DictConfig):
        parent, _, name = parent.rpartition(".")
        node = value_of(config, parent) if parent else config
    keys = sorted(str(k) for k in node if not str(k).startswith("_") and k != "hydra")
    if not parent:
        groups = [str(group) for group in config.hydra.runtime.choices if "/" not in str(group)]
        return _of_top(name, sorted({*keys, *groups}), config)
    having = options_setting(parent, name)
    choice = value_of(config, f"hydra.runtime.choices.{parent}")
    chosen = f" ({parent}={choice})" if choice is not None else ""
    inside = [k for k in keys if isinstance(node[k], DictConfig) and name in node[k]]
    if inside:
        return f"Did you mean {' or '.join(f'{parent}.{key}.{name}' for key in inside)}?"
    if not keys:
        remedy = f"choose {' or '.join(having)}" if having else "choose another option of the group"
        return f"{parent!r}{chosen} has no keys; {remedy} first."
    close = difflib.get_close_matches(name, keys, n=1)
    hint = f" Did you mean {parent}.{close[0]}?" if close else ""
    hint = f" {' and '.join(having)} would have it." if having and not close else hint
    return f"{parent!r}{chosen} has {', '.join(keys)}.{hint}"


def _of_top(name: str, keys: list[str], config: DictConfig) -> str:
    all_keys = dict(leaves(OmegaConf.to_container(config, resolve=False)))
    same = [key for node in BUILT for key in all_keys if key == f"{node}.{name}"]
    close = [*same, *filter(None, [ALIASES.get(name)])] or _of_other_options(name)
    close = close or difflib.get_close_matches(name, keys, n=1)
    if close:
        return f"Did you mean {' or '.join(dict.fromkeys(close))}?"
    return f"The top level has {', '.join(keys)}."


def _of_other_options(name: str) -> list[str]:
    """A key by its whole name where only options have it that are not chosen: margin.alpha, say."""
    found = []
    for group in BUILT:
        if having := options_setting(group, name):
            # What a task sets lies at the top, as in its file.
            key = name if group == "task" else f"{group}.{name}"
            found.append(f"{key} (with {' or '.join(having)})")
    return found
