"""The words of a command line, looked at before Hydra sees them, whose answers are hard to read."""

import difflib
import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException

from combgrad.errors import CombgradError
from combgrad.runs.checks.options import option_names

#: What Hydra takes beside `key=value`; argparse alone would take `--experiment` for one of them.
FLAGS = frozenset(
    {"--help", "-h", "--hydra-help", "--version", "--resolve", "--run", "-r", "--multirun", "-m"}
    | {"--shell-completion", "-sc"}
)
FLAGS_WITH_VALUE = {
    **dict.fromkeys(("--cfg", "-c"), "job, hydra or all"),
    **dict.fromkeys(("--package", "-p"), "a part of the configuration"),
    **dict.fromkeys(("--config-path", "-cp", "--config-dir", "-cd"), "a folder"),
    **dict.fromkeys(("--config-name", "-cn"), "the name of a YAML"),
    "--experimental-rerun": "a file",
    **dict.fromkeys(("--info", "-i"), "all, config, defaults, defaults-tree, plugins, searchpath"),
}

#: Dashes of typography, which come with text copied from a page.
DASHES = "‐‑‒–—―−"  # noqa: RUF001

#: Before a second `key=` in one word.
SECOND_KEY = re.compile(r"\s+(?=[~+\w][\w.@/]*=)")


class WordError(CombgradError, ValueError):
    """A word on the command line that is neither an option nor `key=value`."""


def in_order(arguments: Sequence[str]) -> list[str]:
    """The words with all options first; WordError says how a wrong one is written."""
    options: list[str] = []
    words: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if word[:1] in DASHES and word:
            raise WordError(f"{word!r} begins with a typographic dash; write {_plain(word)}.")
        if name in FLAGS_WITH_VALUE:
            if not equals and not left:
                raise WordError(f"{name} needs a value: {FLAGS_WITH_VALUE[name]}.")
            options += [word] if equals else [word, left.pop(0)]
        elif name in FLAGS and not equals:
            options.append(word)
        elif word.startswith("-"):
            raise WordError(_no_option(name, value, left))
        else:
            words.append(word)
    for index, word in enumerate(words):
        _check_pair(word, words[index + 1 :])
    return [*options, *words]


def _can_be_read(word: str) -> bool:
    try:
        OverridesParser.create().parse_overrides([word])
    except OverrideParseException:
        return False
    return True


def _plain(word: str) -> str:
    bare = word.lstrip("-" + DASHES)
    if "=" in bare:
        return bare
    return f"-{bare}" if len(bare) == 1 else f"--{bare}"


def _no_option(name: str, value: str, following: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, (*FLAGS, *FLAGS_WITH_VALUE), n=1, cutoff=0.75)
    if close and not option_names(name.lstrip("-")):
        return f"there is no option {name}. Did you mean {close[0]}?"
    if not value:
        value = following[0] if following and "=" not in following[0] else "<value>"
    return f"there is no option {name}; write {name.lstrip('-')}={value}, without dashes."


def _check_pair(word: str, following: Sequence[str]) -> None:
    bare = word.strip("'\"")
    if SECOND_KEY.search(bare) and not _can_be_read(word):
        apart = SECOND_KEY.sub(" ", bare)
        raise WordError(f"{word} is several words in one; write them apart: {apart}.")
    if word.startswith("="):
        raise WordError(f"{word!r} has no key before its '='; write key=value without blanks.")
    if "=" in word or word.startswith("~"):
        return
    if following and following[0].startswith("="):
        value = following[0][1:] or (following[1] if len(following) > 1 else "<value>")
        raise WordError(f"write {word}={value}, without blanks around the '='.")
    value = following[0] if following and "=" not in following[0] else "<value>"
    raise WordError(f"{word!r} has no '='; write {word}={value}.")
