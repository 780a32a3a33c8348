"""Many configurations that differ in values, each choice of options composed once."""

import copy
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from combgrad.runs.checks import without_hydra
from combgrad.runs.configuration import CONFIG_FOLDER, compose_lazily

#: Composes overrides, with the `hydra` node.
Compose = Callable[[Sequence[str]], DictConfig]

#: Choices of options that are kept; each takes a fifth of a megabyte.
KEPT = 512

_PLAIN = re.compile(r"(?P<key>\w+)(?P<within>(\.\w+)*)=")

#: What only Hydra can say of a job, made of all its words.
_OF_ALL_WORDS = "override_dirname"


def compose_many(words: Sequence[str], folder: Path = CONFIG_FOLDER) -> DictConfig:
    """`compose_lazily`, and quick for many words that differ more often in values than options."""
    config = _of_folder(folder)(words)
    HydraConfig.instance().set_config(config)
    return config


@functools.cache
def _of_folder(folder: Path) -> Compose:
    return sharing(lambda words: compose_lazily(words, folder), folder)


def sharing(compose: Compose, folder: Path = CONFIG_FOLDER) -> Compose:
    """The same as `compose`, which is called once only for all words that choose the same options.

    To compose takes a fifth of a second, to set a value in a copy a hundredth.
    """

    @functools.lru_cache(maxsize=KEPT)
    def of_options(words: tuple[str, ...]) -> DictConfig | None:
        config = compose(words)
        plain = OmegaConf.to_container(without_hydra(config), resolve=False)
        return None if _OF_ALL_WORDS in str(plain) else config

    def composed(words: Sequence[str]) -> DictConfig:
        setting = [word for word in words if _sets_a_value(word, folder)]
        try:
            base = of_options(tuple(word for word in words if word not in setting))
            if base is not None and not _of_further_groups(setting, base):
                return _with_values(base, setting, words)
        except (HydraException, OmegaConfBaseException):
            # Hydra says better what is wrong with all the words.
            pass
        return compose(words)

    return composed


def _sets_a_value(word: str, folder: Path) -> bool:
    """Whether it sets a value that exists, and so chooses no option and adds or drops nothing."""
    match = _PLAIN.match(word)
    if match is None or match["key"] == "hydra":
        return False
    return bool(match["within"]) or not (folder / match["key"]).is_dir()


def _of_further_groups(words: Sequence[str], base: DictConfig) -> bool:
    """Whether one of the words chooses an option after all, of a group from another folder."""
    groups = base.hydra.runtime.choices
    return any(word.partition("=")[0] in groups for word in words)


def _with_values(base: DictConfig, setting: Sequence[str], words: Sequence[str]) -> DictConfig:
    """A copy of a composition with more words, all in the order in which they were typed."""
    config = copy.deepcopy(base)
    for override in OverridesParser.create().parse_overrides(list(setting)):
        OmegaConf.update(config, override.key_or_group, override.value())
    typed = {*base.hydra.overrides.task, *setting}
    with read_write(config.hydra):
        config.hydra.overrides.task = [word for word in words if word in typed]
    return config
