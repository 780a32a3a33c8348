"""Values that come from environment variables: secrets, as a rule, so that only their names count.

A run uses what `${oc.env:NAME}` stands for, and everything it writes down has the text instead.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from combgrad.errors import redacted
from combgrad.runs.checks import ConfigurationError
from combgrad.runs.checks.reads import leaves

_NAME = re.compile(r"oc\.env:\s*(\w*)")

#: Arguments of loggers that are there to be read by people.
FOR_READERS = frozenset({"config", "group", "job_type", "name", "notes", "tags"})


@contextmanager
def hidden_environment() -> Iterator[None]:
    """Let `${oc.env:NAME}` stand for its own text."""

    def text(*words: Any) -> str:
        return "${oc.env:" + ",".join("null" if word is None else str(word) for word in words) + "}"

    OmegaConf.register_new_resolver("oc.env", text, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def from_environment(config: DictConfig) -> dict[str, str]:
    """Dotted key -> text of each value that an environment variable has a part in."""
    raw: Any = OmegaConf.to_container(config, resolve=False)
    if not any(not name or name in os.environ for name in _NAME.findall(str(raw))):
        return {}
    values = dict(leaves(OmegaConf.to_container(config, resolve=True)))
    # The run's name and folder are made of numbers, which are not hidden.
    named = config.copy()
    named.name = values["name"]
    folder = os.path.basename(values["paths.output"])
    named.paths.output = raw["paths"]["output"].replace("${run_folder:}", folder)
    with hidden_environment():
        texts = dict(leaves(OmegaConf.to_container(named, resolve=True)))
    return {
        key: str(texts.get(key, ""))
        for key, value in values.items()
        if value is not None and texts.get(key) != value
    }


def check_science(config: DictConfig, scientific: Callable[[DictConfig], dict[str, Any]]) -> None:
    """ConfigurationError where text from the environment would decide a result.

    The record would have to hold it. Numbers are no secrets, and are recorded.
    """
    chosen = scientific(config)
    for key in list(config.environment):
        if scientific(_with_texts(config, [key])) == chosen:
            continue
        if isinstance(OmegaConf.select(config, key), str):
            raise ConfigurationError(
                f"{key} decides the result, so that it is recorded, and "
                f"{config.environment[key]} is not to be: write the value itself."
            )
        del config.environment[key]


def _with_texts(config: DictConfig, keys: list[str]) -> DictConfig:
    copy = config.copy()
    OmegaConf.set_readonly(copy, False)
    for key in keys:
        OmegaConf.update(copy, key, literal(config.environment[key]))
    return copy


def written(config: DictConfig) -> DictConfig:
    """A resolved configuration as it may be written down, without secrets."""
    shown = _with_texts(config, [str(key) for key in config.environment])
    del shown["environment"]
    for key, value in leaves(OmegaConf.to_container(shown, resolve=True)):
        if isinstance(value, str) and redacted(value) != value:
            OmegaConf.update(shown, key, literal(redacted(value)))
    return shown


def for_loggers(config: DictConfig) -> list[DictConfig]:
    """The nodes of the loggers, with the texts of what they would only show to people."""
    keys = [f"logger.{logger}.{name}" for logger in config.logger for name in FOR_READERS]
    known = [
        str(key)
        for key in config.environment
        if any(key == name or str(key).startswith(f"{name}.") for name in keys)
    ]
    nodes = list(_with_texts(config, known).logger.values())
    for node in nodes:
        for name in FOR_READERS:
            text = node.get(name)
            if isinstance(text, str) and redacted(text) != text:
                node[name] = literal(redacted(text))
    return nodes


def literal(value: Any) -> Any:
    """Plain containers for a configuration whose texts are to stay, also such as `${x}`."""
    if isinstance(value, dict):
        return {key: literal(child) for key, child in value.items()}
    if isinstance(value, list):
        return [literal(child) for child in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value
