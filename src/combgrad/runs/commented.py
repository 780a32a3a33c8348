"""What `--help` shows of a configuration: all of its keys, with the comments of their files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from omegaconf import DictConfig, OmegaConf

from combgrad.runs.checks import without_hydra
from combgrad.runs.checks.options import config_folders

#: Where a file's keys go, as Hydra has it in the first line of some.
PACKAGE = re.compile(r"^# @package (\S+)$", re.MULTILINE)

BESIDE = re.compile(r":?\s*#\s*(.*)")

#: The names that lead to a key, such as ("margin", "alpha").
Place = tuple[str, ...]


class Comment(NamedTuple):
    """What stands in the lines above a key, and beside its value; either may be empty."""

    above: tuple[str, ...]
    beside: str


class _Key(NamedTuple):
    """Where a key begins, and where its value ends; the key itself where that is a block below."""

    line: int
    column: int
    last_line: int
    end: int


def commented(config: DictConfig) -> str:
    """A composed configuration as YAML in which the keys have the comments of its files.

    Of two files the one that is overridden comments, as train.yaml says what a key is, and an
    experiment why it has its value. Each `$` is doubled, for Hydra's template of the help.
    """
    comments: dict[Place, Comment] = {}
    for path, package in _files(config):
        for place, comment in comments_in(path.read_text(encoding="utf-8")).items():
            comments.setdefault((*package, *place), comment)
    text = with_comments(OmegaConf.to_yaml(without_hydra(config)), comments)
    return text.replace("$", "$$")


def comments_in(text: str) -> dict[Place, Comment]:
    """The comments of a YAML by the keys that they stand at."""
    lines = PACKAGE.sub("", text).splitlines()
    found = {}
    for place, key in _keys(text).items():
        first = key.line
        while first and lines[first - 1].startswith(" " * key.column + "#"):
            first -= 1
        above = tuple(line.strip() for line in lines[first : key.line])
        beside = BESIDE.fullmatch(lines[key.last_line][key.end :])
        if above or beside:
            found[place] = Comment(above, beside[1] if beside else "")
    return found


def with_comments(text: str, comments: dict[Place, Comment]) -> str:
    """A YAML without comments, with those of the keys that it has."""
    lines = text.splitlines()
    keys = _keys(text)
    # From the end, so that the numbers of the lines before it hold.
    for place in sorted(keys.keys() & comments.keys(), key=lambda place: -keys[place].line):
        key, comment = keys[place], comments[place]
        if comment.beside:
            lines[key.last_line] += f"  # {comment.beside}"
        lines[key.line : key.line] = [" " * key.column + line for line in comment.above]
    return "".join(f"{line}\n" for line in lines)


def _keys(text: str) -> dict[Place, _Key]:
    root = yaml.compose(text, yaml.SafeLoader)
    return dict(_walk(root, ())) if isinstance(root, yaml.MappingNode) else {}


def _walk(node: yaml.MappingNode, place: Place) -> Iterator[tuple[Place, _Key]]:
    for key, value in node.value:
        here = (*place, str(key.value))
        scalar = isinstance(value, yaml.ScalarNode)
        below = value.style in ("|", ">") if scalar else not value.flow_style
        end = key.end_mark if below else value.end_mark
        yield here, _Key(key.start_mark.line, key.start_mark.column, end.line, end.column)
        if isinstance(value, yaml.MappingNode) and below:
            yield from _walk(value, here)


def _files(config: DictConfig) -> Iterator[tuple[Path, Place]]:
    """The files of a configuration, in the order in which they are read, and where they go."""
    yield from _file("", "train")
    for group, option in config.hydra.runtime.choices.items():
        if not str(group).startswith("hydra/"):
            yield from _file(str(group), str(option))


def _file(group: str, name: str) -> Iterator[tuple[Path, Place]]:
    """An option's file, after those beside it that it is made from."""
    path = next((p for f in config_folders() if (p := f / group / f"{name}.yaml").is_file()), None)
    if path is None:
        return
    text = path.read_text(encoding="utf-8")
    if group:
        for other in (yaml.safe_load(text) or {}).get("defaults", []):
            if isinstance(other, str) and other != "_self_":
                yield from _file(group, other)
    package = PACKAGE.search(text)
    yield path, () if not group or (package and package[1] == "_global_") else (group,)
