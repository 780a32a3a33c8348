"""The options that the config folders offer, and those that were named but are in none of them."""

import difflib
import re
from collections.abc import Container, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from combgrad.files.installation import program
from combgrad.runs.places import CONFIG_FOLDER

#: So many options fit into one line.
MANY = 20


def value_of(config: DictConfig, key: str) -> Any:
    """The value of a key, None where there is none."""
    return OmegaConf.select(config, key, throw_on_missing=False)


def config_folders() -> tuple[Path, ...]:
    """The folders that the current configuration was composed from."""
    if not HydraConfig.initialized():
        return (CONFIG_FOLDER,)
    sources = HydraConfig.get().runtime.config_sources
    return tuple(Path(source.path) for source in sources if source.schema == "file")


@cache
def _texts(folder: Path) -> dict[str, str]:
    """`group=option` -> the text of its file."""
    return {
        f"{path.parent.name}={path.stem}": path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*/*.yaml"))
    }


def options_with(pattern: re.Pattern[str]) -> list[str]:
    """The options, as `group=option`, whose file holds a pattern."""
    texts = {option: text for folder in config_folders() for option, text in _texts(folder).items()}
    return sorted(option for option, text in texts.items() if pattern.search(text))


def options_setting(group: str, key: str) -> list[str]:
    """The options of a group, as `group=option`, whose file sets a key."""
    having = options_with(re.compile(rf"^{re.escape(key)}:", re.MULTILINE))
    return [option for option in having if option.startswith(f"{group}=")]


def option_names(group: str) -> list[str]:
    """All options of a group."""
    found = {path.stem for folder in config_folders() for path in (folder / group).glob("*.yaml")}
    return sorted(found)


def typed_words(config: DictConfig) -> list[str]:
    """The words of the command line that are not Hydra's own, as they were typed."""
    words = OmegaConf.to_container(config.get("overrides") or OmegaConf.create([]), resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


def missing_options(config: DictConfig) -> list[str]:
    """One line for each group of which options were typed that do not exist.

    Hydra refuses most itself, but lets `optional` ones pass: a wrong `tuned=` would tune nothing.
    """
    missing = absent_options(typed_words(config), config.get("choices") or {})
    return [no_option(group, options, option_names(group)) for group, options in missing.items()]


def absent_options(words: Iterable[str], groups: Container[object]) -> dict[str, list[str]]:
    """The options that words name and that do not exist, of each of the groups that lacks some."""
    missing: dict[str, list[str]] = {}
    for word in OverridesParser.create().parse_overrides(list(words)):
        group, value = str(word.key_or_group), word.value()
        names = option_names(group) if group in groups else []
        options = map(str, value if isinstance(value, list) else [value])
        absent = [option for option in options if names and option not in (*names, "None")]
        if absent:
            missing[group] = list(dict.fromkeys([*missing.get(group, []), *absent]))
    return missing


def no_option(group: str, options: Sequence[str], names: Sequence[str]) -> str:
    """What to say of options that a group does not have, where it has those called `names`."""
    found = [difflib.get_close_matches(option, names, n=1, cutoff=0.5) for option in options]
    close = ",".join(dict.fromkeys(name for names in found for name in names))
    hint = f" Did you mean {group}={close}?" if close else ""
    there = f"There are: {', '.join(names)}."
    if len(names) > MANY:
        there = f"There are {len(names)}, listed by: {program()} --help"
    return f"there is no {group}={','.join(options)}.{hint} {there}"
