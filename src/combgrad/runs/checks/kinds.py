"""Whether a value of a configuration is of the kind that an annotation asks for, and its words."""

import types
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Union, get_args, get_origin

#: How the kinds that a command line can give are called.
WORDS: dict[Any, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "text",
    type(None): "null",
}
LISTS = (list, tuple, set, frozenset, Sequence, Iterable)


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


def _is_list(kind: Any) -> bool:
    return kind in LISTS or get_origin(kind) in LISTS


def _understood(kind: Any) -> bool:
    return kind in WORDS or get_origin(kind) is Literal or _is_list(kind)


def fits(value: Any, annotation: Any) -> bool:
    """Whether a plain value can be what an annotation asks for; True where that is not known."""
    kinds = _alternatives(annotation)
    if isinstance(value, dict) or not any(map(_understood, kinds)):
        return True
    # A class beside kinds that are understood, such as a tensor: no plain value is one.
    opaque = [kind for kind in kinds if not _understood(kind) and not isinstance(kind, type)]
    return bool(opaque) or any(_is_a(value, kind) for kind in kinds)


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind) and type(value) in map(type, get_args(kind))
    if _is_list(kind):
        return isinstance(value, list | tuple)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float)
    return kind in WORDS and isinstance(value, kind)


def expected(annotation: Any) -> str:
    """What an annotation asks for, in words."""
    words: list[str] = []
    for kind in _alternatives(annotation):
        if get_origin(kind) is Literal:
            words += [str(value) for value in get_args(kind)]
        elif _is_list(kind):
            words.append("a list such as [1,2]")
        elif kind in WORDS:
            words.append(WORDS[kind])
    words = list(dict.fromkeys(words))
    if WORDS[float] in words and WORDS[int] in words:
        words.remove(WORDS[int])
    return " or ".join(words)
