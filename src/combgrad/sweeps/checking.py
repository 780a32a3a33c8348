"""All jobs of a sweep, composed and checked before any of them starts."""

import datetime
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from combgrad.errors import CombgradError
from combgrad.results.identity import digest, run_key
from combgrad.runs.checks.options import absent_options, no_option, option_names
from combgrad.runs.commands import in_shell
from combgrad.runs.compositions import Compose, sharing
from combgrad.runs.configuration import resolved, run_name, scientific
from combgrad.runs.distinctions import flat
from combgrad.runs.explanations import describe
from combgrad.sweeps.expansion import Request
from combgrad.sweeps.jobs import Job

#: So many jobs from the first on with one fault let it be known without a look at the others.
ENOUGH = 10


class InvalidJobsError(CombgradError, ValueError):
    """Jobs that could never run, found before any was started."""


def prepare(requests: Sequence[Request], compose: Compose) -> list[Job]:
    """Compose and check all jobs; InvalidJobsError says, once each, why some could not run."""
    check, composed = Checker(), sharing(compose)
    jobs: dict[str, Job] = {}
    errors: list[tuple[Request, Exception]] = []
    seen = len(requests)
    master = HydraConfig.instance().cfg
    _check_options(requests, HydraConfig.get().runtime.choices)
    for request in tqdm(requests, desc="checking the jobs", unit="job", leave=False, delay=1.0):
        try:
            full = composed(request.overrides)
            HydraConfig.instance().set_config(full)
            check_repeatable(full)
            config = resolved(full)
            key = check(config)
        except Exception as error:
            errors.append((request, error))
            if not jobs and len(errors) == ENOUGH and len({str(e) for _, e in errors}) == 1:
                seen = ENOUGH
                break
            continue
        name = run_name(config)
        jobs.setdefault(key, Job(request.overrides, request.group, config, name, key))
    HydraConfig.instance().cfg = master
    if errors:
        raise InvalidJobsError(_refused(len(errors), len(requests), seen) + _reasons(errors))
    return list(jobs.values())


def _check_options(requests: Sequence[Request], groups: Container[object]) -> None:
    """InvalidJobsError for options that do not exist: to compose all jobs takes a while."""
    words = dict.fromkeys(word for request in requests for word in request.overrides)
    wrong = {word: absent for word in words if (absent := absent_options([word], groups))}
    jobs = [request for request in requests if not wrong.keys().isdisjoint(request.overrides)]
    if not jobs:
        return
    lines = []
    for group in dict.fromkeys(group for absent in wrong.values() for group in absent):
        options = dict.fromkeys(o for absent in wrong.values() for o in absent.get(group, ()))
        reason = no_option(group, list(options), option_names(group))
        asking = {word for word, absent in wrong.items() if group in absent}
        number = sum(not asking.isdisjoint(request.overrides) for request in jobs)
        lines.append(f"{reason} ({_counted(number)})")
    raise InvalidJobsError(_refused(len(jobs), len(requests), len(requests)) + _listed(lines))


def _reasons(errors: Sequence[tuple[Request, Exception]]) -> str:
    """Every reason once, with the number of its jobs and the words of the first."""
    found: dict[str, list[Request]] = {}
    for request, error in errors:
        reason = describe(error, request.overrides)
        reason = "; ".join(line.strip() for line in reason.splitlines() if line.strip())
        found.setdefault(reason, []).append(request)
    return _listed(
        [
            f"{reason} ({_counted(len(jobs))}, such as {in_shell(jobs[0].overrides)})"
            for reason, jobs in found.items()
        ]
    )


def _refused(some: int, of_all: int, seen: int) -> str:
    if seen < of_all:
        return (
            f"the first {some} of {of_all} jobs cannot run, no other was checked, and none was "
            f"started: "
        )
    return f"{some} of {of_all} jobs cannot run, and none was started: "


def _counted(jobs: int) -> str:
    return f"{jobs} {'jobs' if jobs > 1 else 'job'}"


def _listed(lines: Sequence[str]) -> str:
    return lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)


def check_repeatable(full: DictConfig) -> None:
    """ValueError where the configuration will be another one when the job starts, or next time."""
    asked = flat(scientific(full))
    with _another_time():
        later = flat(scientific(full))
    changed = [key for key, value in later.items() if value != asked.get(key)]
    if changed:
        raise ValueError(
            f"{', '.join(changed)} depends on the time it is read at, so that no run could be "
            "found again; give it a fixed value"
        )


@contextmanager
def _another_time() -> Iterator[None]:
    """While it lasts, `${now:...}` speaks of another year, month, day, hour, minute and second."""
    other = datetime.datetime.now() + datetime.timedelta(days=400, hours=5, minutes=7, seconds=11)

    def now(pattern: str) -> Any:
        return other.strftime(pattern)

    OmegaConf.register_new_resolver("now", now, replace=True)
    try:
        yield
    finally:
        setup_globals()


#: The nodes that an experiment is built from.
BUILT_TOGETHER = (
    *("solver", "grad", "proj", "margin", "corruption"),
    *("model", "task", "loss", "optimizer", "schedule"),
)


class Checker:
    """Builds what a run builds before it trains, each different part once, and gives its key."""

    def __init__(self) -> None:
        self._experiments: set[str] = set()
        self._fingerprints: dict[str, str] = {}

    def __call__(self, config: DictConfig) -> str:
        """The run's key; any error that the run would meet at its start."""
        # Torch and Lightning take seconds to import, and nothing else of a sweep needs them.
        from hydra.utils import instantiate

        from combgrad.data.datamodule import checked_fingerprint
        from combgrad.runs.checks.settings import check_settings
        from combgrad.runs.parts import build_experiment

        check_settings(config.seed, config.threads, config.trainer, elsewhere=True)
        parts = digest(*(str(config[node]) for node in BUILT_TOGETHER))
        if parts not in self._experiments:
            build_experiment(config)
            self._experiments.add(parts)
        data = digest(str(config.data))
        if data not in self._fingerprints:
            self._fingerprints[data] = checked_fingerprint(instantiate(config.data))
        return run_key(scientific(config), self._fingerprints[data])
