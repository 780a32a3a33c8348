"""Heads of the rows and columns of a table, and the words of a cell's point."""

from collections.abc import Iterable, Mapping
from typing import Any

#: The texts of one row's or column's heads, outermost first.
Head = tuple[str, ...]


def place_of(row: Head, column: Head) -> str:
    """Where a cell stands, in words; empty heads say nothing."""
    return ", ".join(filter(None, (*row, *column)))


def words_of(point: Mapping[str, Any]) -> list[str]:
    """A point as words of the command line."""
    return [f"{key}={value}" for key, value in point.items()]


def in_order(heads: Iterable[Head]) -> list[Head]:
    """Distinct heads, those with the same outer levels together, each level as first met."""
    distinct = list(dict.fromkeys(heads))
    levels = [list(dict.fromkeys(texts)) for texts in zip(*distinct, strict=True)]
    return sorted(distinct, key=lambda head: [levels[i].index(t) for i, t in enumerate(head)])


def spans(heads: Iterable[Head], level: int) -> list[tuple[str, int]]:
    """The texts of one level and how many neighbouring heads each spans."""
    found: list[tuple[Head, int]] = []
    for head in heads:
        outer = head[: level + 1]
        if found and found[-1][0] == outer:
            found[-1] = (outer, found[-1][1] + 1)
        else:
            found.append((outer, 1))
    return [(outer[-1], count) for outer, count in found]
