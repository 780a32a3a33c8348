"""Strict complete orders of people, in both forms that PrefLib has published them in (`.soc`).

The form of today opens with lines such as `# NUMBER ALTERNATIVES: 10` and has `3: 7,4,5,...` for an
order of three people, the best first. The earlier one has the number of alternatives, a line
`1,name` for each, a line of three counts, and `3,7,4,5,...`. In the earlier file of sushi names and
numbers do not belong together: the numbers are those of the original data, which count from 0, with
10 for 0, and the names count from 1. Here they are what the file says.
Source: Mattei and Walsh, PrefLib: A Library for Preferences, ADT 2013.
"""

import re
from typing import NamedTuple

import numpy as np

from combgrad.data.files.npy import REMEDY, DataFileError

_NAME = re.compile(r"# ALTERNATIVE NAME (\d+): *(.*)")
_COUNT = re.compile(r"# NUMBER (ALTERNATIVES|VOTERS): *(\d+)")

#: People, what they rank, and the ranks of them all; more is taken for damage, since one line of a
#: few bytes may stand for any number of people.
MOST_PEOPLE, MOST_ALTERNATIVES, MOST_RANKS = 10**6, 1000, 10**7


class Orders(NamedTuple):
    """The orders of N people.

    Attributes:
        names: of the n alternatives.
        ranks: (N, n) int64, the rank 1..n of each alternative, 1 for the best; people of the same
            order follow each other.
    """

    names: list[str]
    ranks: np.ndarray


def read_orders(text: str, name: str) -> Orders:
    """The orders of a file's text; raises DataFileError with `name`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    try:
        names, people, votes = _today(lines) if text.startswith("#") else _earlier(lines)
        counts, orders = _votes(votes, len(names))
        if counts.sum() != people:
            raise ValueError(f"orders of {counts.sum()} people, and {people} are said to be there")
    except (ValueError, IndexError) as error:
        raise DataFileError(f"{name}: is no file of complete orders ({error}). {REMEDY}") from error
    ranks = np.empty_like(orders)
    np.put_along_axis(ranks, orders, np.arange(1, len(names) + 1)[None, :], axis=1)
    return Orders(names, np.repeat(ranks, counts, axis=0))


def _today(lines: list[str]) -> tuple[list[str], int, list[str]]:
    """Names, how many people, and lines `count,first,second,...` of today's form."""
    head = [line for line in lines if line.startswith("#")]
    said = {found[1]: int(found[2]) for line in head if (found := _COUNT.fullmatch(line))}
    named = {int(found[1]): found[2] for line in head if (found := _NAME.fullmatch(line))}
    count = said.get("ALTERNATIVES", 0)
    if "VOTERS" not in said or not 0 < count <= MOST_ALTERNATIVES:
        raise ValueError("its head does not say how many alternatives and voters there are")
    if {*named} != {*range(1, count + 1)}:
        raise ValueError(f"its head does not name {count} alternatives")
    votes = [line.replace(":", ",", 1) for line in lines if not line.startswith("#")]
    return [named[number] for number in sorted(named)], said["VOTERS"], votes


def _earlier(lines: list[str]) -> tuple[list[str], int, list[str]]:
    """The same of the earlier form."""
    count = int(lines[0])
    if not 0 < count <= MOST_ALTERNATIVES:
        raise ValueError(f"{count} alternatives")
    names = []
    for number, line in enumerate(lines[1 : count + 1], 1):
        said, _, called = line.partition(",")
        if int(said) != number:
            raise ValueError(f"alternative {number} is called {line!r}")
        names.append(called.strip())
    people = int(lines[count + 1].split(",")[0])
    return names, people, lines[count + 2 :]


def _votes(lines: list[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """How many people have each order (O,), and the orders (O, size), counted from 0."""
    rows = [[int(number) for number in line.split(",")] for line in lines]
    for row in rows:
        if sorted(row[1:]) != list(range(1, size + 1)) or not 0 < row[0] <= MOST_PEOPLE:
            raise ValueError(f"{','.join(map(str, row))} is no count and order of {size}")
    table = np.array(rows, dtype=np.int64).reshape(-1, size + 1)
    people = int(table[:, 0].sum())
    if people > MOST_PEOPLE or people * size > MOST_RANKS:
        raise ValueError(f"orders of {people} people")
    return table[:, 0], table[:, 1:] - 1
