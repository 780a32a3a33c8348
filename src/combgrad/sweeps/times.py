"""How long jobs will take, by what finished runs took."""

import statistics
from collections.abc import Iterable

from combgrad.results.record import RunRecord
from combgrad.sweeps.jobs import Job


def expected_seconds(job: Job, records: Iterable[RunRecord]) -> float | None:
    """The time a job will take: the median of finished runs most like it; None without any."""
    experiment, profile = str(job.config.choices.experiment), str(job.config.profile.name)
    alike = [r for r in records if (r.experiment, r.profile) == (experiment, profile)]
    closer = [r for r in alike if r.choices.get("grad") == str(job.config.choices.grad)]
    times = [r.seconds["train"] + r.seconds["eval"] for r in closer or alike]
    return statistics.median(times) if times else None
