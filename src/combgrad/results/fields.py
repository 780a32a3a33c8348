"""The fields of a record as they must be: a record may come from anywhere, so each is looked at."""

import datetime
import re
from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Any

from combgrad.arguments import is_whole

#: What fields that say nothing about a number are, where a record lacks them.
FILLED: dict[str, Callable[[], Any]] = {
    "choices": dict,
    "command": str,
    "commit": lambda: "unknown",
    "curve_epochs": dict,
    "curves": dict,
    "finished": str,
    "hardware": dict,
    "resumed_at": list,
    "started": str,
    "versions": dict,
}

#: No path, no control characters, no halves of letters: a name becomes part of a file's name, which
#: has 255 letters at most with digits of the key and `.json`.
NAME = re.compile(r"[^\x00-\x1f\x7f/\\\ud800-\udfff]{1,240}")

#: How deep what has no form of its own may be nested.
DEEPEST = 50


def checked(values: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The fields called `names` of a record's JSON object, each of its type; missing ones filled.

    Raises ValueError naming the first field that is wrong, what it is and what it must be.
    """
    kept = {}
    for name in sorted(names):
        if name not in values and name not in FILLED:
            raise ValueError(f"its field {name!r} is missing")
        value = values[name] if name in values else FILLED[name]()
        right, wanted = RULES[name]
        if not right(value):
            raise ValueError(f"its field {name!r} must be {wanted}, not {_shown(value)}")
        kept[name] = value
    if "curve_epochs" in kept:
        _check_epochs(kept["curves"], kept["curve_epochs"])
    return kept


def _check_epochs(curves: dict[str, list[float]], epochs: dict[str, list[int]]) -> None:
    for name, given in epochs.items():
        rising = all(before < after for before, after in pairwise(given))
        if not rising or len(given) != len(curves.get(name, ())):
            raise ValueError(
                f"its field 'curve_epochs' must have one epoch, in rising order, for each value of "
                f"the curve {name!r}, not {_shown(given)}"
            )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return is_whole(value) and value >= 0


def _is_epoch(value: Any) -> bool:
    return _is_count(value) and value < 2**53  # pictures reckon with it as a float


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return True
    return is_whole(value) and abs(value) < 2**1000  # beyond it no float holds the number


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return value == "" or datetime.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_mapping(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def _is_list(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _is_time_spent(value: Any) -> bool:
    return _is_number(value) and 0 <= value < float("inf")


def _is_shallow(value: Any, levels: int = DEEPEST) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in inner)


def _is_config(value: Any) -> bool:
    trainer = value.get("trainer", {}) if isinstance(value, dict) else None
    return isinstance(trainer, dict) and _is_shallow(value)


#: Field -> whether a value will do, and what to say if not.
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "best_epoch": (_is_count, "a whole number, at least 0"),
    "choices": (_is_mapping(_is_text), "an object of strings"),
    "command": (_is_text, "a string"),
    "commit": (_is_text, "a string"),
    "config": (_is_config, f"an object, its `trainer` too, at most {DEEPEST} levels deep"),
    "curve_epochs": (
        _is_mapping(_is_list(_is_epoch)),
        "an object of lists of whole numbers, from 0 to 2^53",
    ),
    "curves": (_is_mapping(_is_list(_is_number)), "an object of lists of numbers"),
    "data_fingerprint": (_is_text, "a string"),
    "data_source": (_is_name, "a name without slashes and control characters"),
    "experiment": (_is_name, "a name without slashes and control characters"),
    "finished": (_is_time, "a time with its zone in ISO 8601, or empty"),
    "hardware": (_is_mapping(_is_shallow), f"an object, at most {DEEPEST + 1} levels deep"),
    "metrics": (_is_mapping(_is_number), "an object of numbers"),
    "name": (_is_name, "a name without slashes and control characters"),
    "profile": (_is_name, "a name without slashes and control characters"),
    "resumed_at": (_is_list(_is_count), "a list of whole numbers, at least 0"),
    "seconds": (_is_mapping(_is_time_spent), "an object of finite numbers, at least 0"),
    "seed": (is_whole, "a whole number"),
    "started": (_is_time, "a time with its zone in ISO 8601, or empty"),
    "versions": (_is_mapping(_is_text), "an object of strings"),
}
