"""What was wrong with a command, in one line: the thing, its key, and the remedy."""

import os
import re
import traceback
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    InterpolationKeyError,
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)

from combgrad.errors import CombgradError, redacted
from combgrad.files.installation import extra, program
from combgrad.runs.checks.options import no_option, option_names, options_setting
from combgrad.runs.checks.unknown_keys import valid_keys

PACKAGE = Path(__file__).resolve().parents[1]
STANDARD = Path(os.__file__).resolve().parent
LAUNCHERS_MISSING = f"The launchers are an extra: {extra('sweep')} (docs/scale-out.md)."
UNKNOWN_KEY = re.compile(r"Could not override '([\w.@/]+)'")
AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*)'")
SWEEPING = re.compile(r"Sweep parameters? '(.*)' require")
FULL_KEY = re.compile(r"full_key: (\S+)")
MISSING = re.compile(r"Missing mandatory value: (\S+)")
UNNAMED = re.compile(r"(?i)null|true|false|[+-]?\d+(\.\d*)?")
UNSET = re.compile(r"Environment variable '(.+)' not found")
NO_PARTS = re.compile(r"Error trying to access (\S+): node `(\S+)` is not a container")
NO_NAME = "Config group override must be a string"

#: Groups that a configuration can do without.
OPTIONAL = frozenset({"tuned"})

#: So many options are named where another one is to be chosen.
FEW = 8

#: Errors whose text is meant for people; of all others the kind and the place are told too.
TOLD = (CombgradError, OSError, ValueError, HydraException, OmegaConfBaseException)


def explain(error: BaseException, arguments: Sequence[str]) -> str:
    """One message for an error a user can mend, and how to see more of it."""
    return f"error: {describe(error, arguments)}\n(HYDRA_FULL_ERROR=1 shows where it was raised)"


def describe(error: BaseException, arguments: Sequence[str]) -> str:
    """What an error says, or what Hydra wrapped in it; with the valid keys where one is unknown."""
    unknown = UNKNOWN_KEY.search(str(error))
    if unknown is not None:
        return f"unknown key {unknown.group(1)!r}. {valid_keys(unknown.group(1), arguments)}"
    if (unset := UNSET.search(str(error))) is not None:
        return _of_variable(error, unset.group(1), arguments)
    if (whole := NO_PARTS.search(str(error))) is not None:
        return _of_whole(whole.group(1), whole.group(2), arguments)
    if left_out := _of_left_out(error, arguments):
        return left_out
    if NO_NAME in str(error) and (unnamed := _of_unnamed_option(arguments)):
        return unnamed
    key = FULL_KEY.search(str(error)) if isinstance(error, InstantiationException) else None
    cause = _cause(error)
    text = redacted(_said(cause))
    if key is not None and not isinstance(cause, CombgradError) and key.group(1) not in text:
        return f"{key.group(1)}: {text}"
    return text


def _cause(error: BaseException) -> BaseException:
    """What Hydra or OmegaConf wrapped."""
    while True:
        wrapped = error.__cause__ or error.__context__
        resolving = type(error) is InterpolationResolutionError and "raised while" in str(error)
        if wrapped is None or not (resolving or isinstance(error, HydraException)):
            return error
        if isinstance(error, MissingConfigException | OverrideParseException) or isinstance(
            wrapped, SystemExit
        ):
            return error
        error = wrapped


def _said(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MissingConfigException):
        return _of_missing_option(error)
    if isinstance(error, InterpolationKeyError):
        return _of_interpolation(error)
    if isinstance(error, MissingMandatoryValue | InterpolationToMissingValueError):
        missing = MISSING.search(text)
        key = missing.group(1) if missing else getattr(error, "full_key", None)
        return f"{key} has no value and needs one; write {key}=<value>."
    if (ambiguous := AMBIGUOUS.search(text)) is not None:
        word = ambiguous.group(1)
        key, _, values = word.partition("=")
        return (
            f"{word} names several values: add -m for a sweep ({program()} -m {word} ...), "
            f"or write {key}=[{values}] for one list."
        )
    if (sweeping := SWEEPING.search(text)) is not None:
        word = sweeping.group(1)
        return f"{word} chooses options for a sweep: add -m ({program()} -m '{word}' ...)."
    if isinstance(error, OverrideParseException):
        word = str(error.override)
        key, _, value = word.partition("=")
        escaped = value.replace("'", "\\'")
        quoted = f"\"{key}='{escaped}'\""
        return f"{word} cannot be read; put what has special characters in quotes: {quoted}."
    if isinstance(error, CombgradError):
        return text
    line = " ".join(part.strip() for part in text.splitlines())
    if isinstance(error, TOLD):
        return line
    notes = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {line}{_place(error)}{notes}"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    files = [(Path(frame.filename).resolve(), frame) for frame in frames]
    # The last that is ours or the user's own, such as an experiment of theirs that ours calls.
    written = [(file, frame) for file, frame in files if not _is_installed(file)]
    file, frame = (written or files)[-1]
    ours = PACKAGE in file.parents
    place = file.relative_to(PACKAGE.parents[1]) if ours else Path(*file.parts[-3:])
    return f" ({place.as_posix()}, line {frame.lineno}, in {frame.name})"


def _is_installed(file: Path) -> bool:
    """Whether a file of a traceback is of Python, of another package, or no file at all."""
    if PACKAGE in file.parents:
        return False
    packaged = not {"site-packages", "dist-packages"}.isdisjoint(file.parts)
    return packaged or STANDARD in file.parents or file.name.startswith("<")


def _of_missing_option(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    # Hydra does not say what there is where one of several options, as in logger=[a,b], is missing.
    names = list(error.options or option_names(group))
    if not names:
        text = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
        missing = text.partition(" Config search path")[0]
        return f"{missing} {LAUNCHERS_MISSING}" if "hydra/launcher" in missing else missing
    if "hydra/launcher" in group:
        return f"there is no {group}={option}. {LAUNCHERS_MISSING}"
    return no_option(group, [option], names)


def _of_unnamed_option(arguments: Sequence[str]) -> str:
    """What to say of `margin=null` or `debug=true`, of which Hydra does not tell the group."""
    for word in arguments:
        group, _, value = word.partition("=")
        names = option_names(group.lstrip("+"))
        if names and UNNAMED.fullmatch(value):
            leave = f" Write ~{group} to leave the group out." if group in OPTIONAL else ""
            return f"{no_option(group, [value], names)}{leave}"
    return ""


def _of_left_out(error: BaseException, arguments: Sequence[str]) -> str:
    """What to say of `~margin`: what is missed then is told by keys that nobody typed."""
    for word in arguments:
        group = word.removeprefix("~").partition("=")[0]
        needed = word.startswith("~") and group not in OPTIONAL
        names = option_names(group) if needed else []
        if names and re.search(rf"\b{re.escape(group)}\b", str(error)):
            instead = f"{group}=none" if "none" in names else f"{group}=<option>"
            return f"{word}: no run goes without this group; write {instead} instead."
    return ""


def _of_interpolation(error: InterpolationKeyError) -> str:
    wanted = re.search(r"Interpolation key '([^']*)'", str(error))
    name, key = (wanted.group(1) if wanted else "?"), error.full_key
    group, _, last = name.partition(".")
    having = options_setting(group, last)
    few = having and len(having) <= FEW
    remedy = f"choose {' or '.join(having)}" if few else f"choose another {group}"
    return (
        f"{key} takes its value from {name}, which the chosen {group} does not have; {remedy}, "
        f"or give {key} a value."
    )


def _of_variable(error: BaseException, variable: str, arguments: Sequence[str]) -> str:
    found = FULL_KEY.search(str(error))
    # Hydra copies the words into its own keys, which nobody typed.
    typed = [word for word in arguments if f"oc.env:{variable}" in word]
    key = typed[0].partition("=")[0].lstrip("+") if typed else found and found.group(1)
    taking = f"{key} takes its value from" if key else "a value is taken from"
    return (
        f"{taking} the environment variable {variable}, which is not set; set it, or name a value "
        f"for that case: ${{oc.env:{variable},VALUE}}."
    )


def _of_whole(part: str, node: str, arguments: Sequence[str]) -> str:
    """What to say of `size=1000`, where a number stands for several."""
    others = [word for word in arguments if word.lstrip("+").partition("=")[0] != node]
    return f"{node} has parts, such as {part}, and is no value itself. {valid_keys(part, others)}"
