"""How long jobs will take, by what finished runs took."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from combgrad.results.record import RunRecord
from combgrad.sweeps.jobs import Job

#: What a data set calls the size of its instances, and the power with which work grows with it.
SIZES = {"cells": 2.0, "cities": 1.0}

#: A job that is this many times the work of a run, or a share as small, is not judged by that run:
#: what starting and compiling take does not grow.
FARTHEST = 100.0


@dataclass(frozen=True)
class Total:
    """The time that some jobs take together.

    Attributes:
        seconds: of those whose time is known.
        known, unknown: how many there are of each.
    """

    seconds: float
    known: int
    unknown: int


def work(config: Mapping[str, Any]) -> float | None:
    """What a training has to do, in a unit that only runs of one task share; None if unsaid."""
    data, trainer = map(config.get, ("data", "trainer"))
    # A record may come from anywhere.
    if not (isinstance(data, Mapping) and isinstance(trainer, Mapping)):
        return None
    powers = {"train_size": 1.0} | {name: power for name, power in SIZES.items() if name in data}
    numbers: list[Any] = [data.get(name) for name in powers] + [trainer.get("max_epochs")]
    if not all(isinstance(number, int | float) and number > 0 for number in numbers):
        return None
    return math.prod(map(pow, numbers, (*powers.values(), 1.0)))


def expected_seconds(job: Job, records: Iterable[RunRecord]) -> float | None:
    """The time a job will take, by the finished runs most like it; None where there are none.

    Runs of the same experiment come before those of another size of its task, those of the same
    method before others, and of these the ones whose work is nearest; their times are scaled by it.
    """
    records, asked = list(records), work(job.config)
    if asked is None:
        return None
    wanted = {name: str(option) for name, option in job.config.choices.items()}

    def alike(*groups: str) -> list[RunRecord]:
        return [r for r in records if all(r.choices.get(g) == wanted.get(g) for g in groups)]

    for groups in (("experiment",), ("task", "data")):
        for candidates in (alike(*groups, "grad"), alike(*groups)):
            if times := _nearest(asked, candidates):
                return statistics.median(times)
    return None


def _nearest(asked: float, records: Iterable[RunRecord]) -> list[float]:
    """The scaled times of the runs whose work is nearest to what is asked for."""
    found: dict[float, list[float]] = {}
    for record in records:
        ratio = asked / (work(record.config) or math.inf)
        if 1 / FARTHEST <= ratio <= FARTHEST and {"train", "eval"} <= record.seconds.keys():
            seconds = record.seconds["train"] + record.seconds["eval"]
            found.setdefault(abs(math.log(ratio)), []).append(seconds * ratio)
    return found[min(found)] if found else []


def total_time(jobs: Sequence[tuple[Job, float]], records: Sequence[RunRecord]) -> Total:
    """The expected time of jobs one after the other, each with the share of it left (0 to 1)."""
    times = [(expected_seconds(job, records), share) for job, share in jobs]
    known = [time * share for time, share in times if time is not None]
    return Total(sum(known), len(known), len(times) - len(known))
