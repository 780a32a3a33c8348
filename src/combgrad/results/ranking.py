"""Methods ranked over tasks and seeds, and what of the order is more than chance (Demšar 2006)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy import stats

from combgrad.results.layout import LayoutError, Metric, Ranked
from combgrad.results.tables import Table

#: The chance of calling equal methods different.
LEVEL = 0.05

#: What is compared: block (a task with a seed) -> method -> its number.
Blocks = Mapping[tuple[str, int], Mapping[str, float]]


@dataclass(frozen=True)
class Ranking:
    """Methods by their mean rank over blocks, rank 1 for the best of a block, ties in the middle.

    Attributes:
        methods: from the best mean rank to the worst.
        ranks: their mean ranks.
        blocks: how many there are, each a task with a seed that all methods have.
        friedman: the p-value of the Friedman test that all methods are equal.
        distance: how far mean ranks must lie apart to differ by the Nemenyi test at LEVEL.
        beside_best: of each method but the first, the p-value of Wilcoxon's signed-rank test
            against the first, after Holm's correction for the tests of all pairs of methods, since
            these blocks are also what chose the first.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    blocks: int
    friedman: float
    distance: float
    beside_best: tuple[float, ...]


def rank(blocks: Blocks, best: str) -> Ranking | None:
    """The ranking of methods by the blocks that have finite numbers of them all.

    None for fewer than three methods or two such blocks, of which the tests say nothing. `best` is
    `min` or `max`. Source: Demšar, JMLR 2006, sections 3.1.3 and 3.2.
    """
    methods = list(dict.fromkeys(method for values in blocks.values() for method in values))
    whole = [values for values in blocks.values() if _whole(values, methods)]
    if len(methods) < 3 or len(whole) < 2:
        return None
    sign = -1.0 if best == "max" else 1.0
    numbers = sign * np.array([[values[method] for method in methods] for values in whole])
    ranks = stats.rankdata(numbers, axis=1).mean(axis=0)
    order = np.argsort(ranks, kind="stable")
    numbers, ranks = numbers[:, order], ranks[order]
    many, often = len(methods), len(whole)
    quantile = stats.studentized_range.ppf(1 - LEVEL, many, math.inf) / math.sqrt(2)
    alike = bool((numbers == numbers[:, :1]).all())
    pairs = holm(_signed_rank(*pair) for pair in combinations(numbers.T, 2))
    return Ranking(
        methods=tuple(methods[index] for index in order),
        ranks=tuple(ranks.tolist()),
        blocks=often,
        friedman=1.0 if alike else float(stats.friedmanchisquare(*numbers.T).pvalue),
        distance=float(quantile * math.sqrt(many * (many + 1) / (6 * often))),
        beside_best=pairs[: many - 1],
    )


def _whole(values: Mapping[str, float], methods: Iterable[str]) -> bool:
    return all(math.isfinite(values.get(method, math.nan)) for method in methods)


def _signed_rank(one: np.ndarray, other: np.ndarray) -> float:
    """The two-sided p-value; 1 where all pairs are equal, of which scipy would make NaN."""
    return 1.0 if (one == other).all() else float(stats.wilcoxon(one, other).pvalue)


def holm(values: Iterable[float]) -> tuple[float, ...]:
    """p-values of several tests, raised so that one of them is below p by chance p at most.

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    given = list(values)
    raised, largest = [0.0] * len(given), 0.0
    for place, index in enumerate(sorted(range(len(given)), key=given.__getitem__)):
        largest = max(largest, min(1.0, (len(given) - place) * given[index]))
        raised[index] = largest
    return tuple(raised)


def blocks_of(table: Table, ranked: Ranked) -> dict[tuple[str, int], dict[str, float]]:
    """The numbers of a table's ranked metric by task and seed, then by method.

    Raises LayoutError where two of them have the same labels, of which one would be lost.
    """
    found: dict[tuple[str, int], dict[str, float]] = {}
    for _, _, cell in table.cells():
        if cell.metric.name == ranked.metric:
            templates = (ranked.tasks, ranked.methods)
            task, method = table.layout.head(templates, cell.point, cell.metric)
            for seed, value in zip(cell.seeds, cell.values, strict=True):
                block = found.setdefault((task, seed), {})
                if method in block:
                    raise LayoutError(
                        f"{table.layout.name}: the ranking has two numbers of seed {seed} for the "
                        f"method {method!r} on the task {task!r}; let ranking.methods or "
                        f"ranking.tasks show how they differ."
                    )
                block[method] = value
    return found


def of_all_tasks(blocks: Blocks) -> tuple[Blocks, list[str]]:
    """Blocks with those methods alone that have a number of every task; the others' names."""
    tasks = {task for task, _ in blocks}
    of: dict[str, set[str]] = {}
    for (task, _), values in blocks.items():
        for method in values:
            of.setdefault(method, set()).add(task)
    lacking = [method for method, there in of.items() if there < tasks]
    kept = {
        block: {method: value for method, value in values.items() if method not in lacking}
        for block, values in blocks.items()
    }
    return kept, lacking


class Order(NamedTuple):
    """What a table ranks by, the ranking, None of too few runs, and the methods not ranked."""

    metric: Metric
    ranking: Ranking | None
    left_out: list[str]


def order_of(table: Table) -> Order | None:
    """The order of a table's methods; None where it ranks none."""
    ranked = table.layout.ranking
    if ranked is None:
        return None
    (metric,) = (m for m in table.layout.metrics if m.name == ranked.metric)
    blocks: Blocks = blocks_of(table, ranked)
    lacking: list[str] = []
    if ranked.left_out == "methods":
        blocks, lacking = of_all_tasks(blocks)
    return Order(metric, rank(blocks, str(metric.best)), lacking)


def sentences(table: Table) -> list[str]:
    """What a table's text says of the order of its methods; nothing where it ranks none."""
    order = order_of(table)
    if order is None:
        return []
    metric, found, lacking = order
    if found is None:
        return [f"No ranking by {metric.label}: it takes three methods that share two runs."]
    left_out = f"Not ranked, as they lack a task: {', '.join(lacking)}."
    return [_in_order(found, metric), _beside_best(found), *([left_out] if lacking else [])]


def _in_order(found: Ranking, metric: Metric) -> str:
    order = ", ".join(
        f"{method} {place:.2f}" for method, place in zip(found.methods, found.ranks, strict=True)
    )
    return (
        f"Mean ranks by {metric.label} over the {found.blocks} pairs of a task and a seed that all "
        f"{len(found.methods)} methods have: {order}. Friedman's test that all are equal: p = "
        f"{found.friedman:.2g}. By Nemenyi's test two methods differ (at {LEVEL:.0%}) where their "
        f"mean ranks are more than {found.distance:.2f} apart."
    )


def _beside_best(found: Ranking) -> str:
    first, *others = found.methods
    told = [
        f"{name} (p = {p:.2g})"
        for name, p in zip(others, found.beside_best, strict=True)
        if p < LEVEL
    ]
    rest = [name for name, p in zip(others, found.beside_best, strict=True) if p >= LEVEL]
    said = [f"told apart from {first}: {', '.join(told) or 'none'}"]
    if rest:
        said.append(f"not told apart from it: {', '.join(rest)}")
    return (
        f"Wilcoxon's signed-rank test with Holm's correction for all pairs of methods: "
        f"{'; '.join(said)}."
    )
