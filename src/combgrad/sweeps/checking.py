"""All jobs of a sweep, composed and checked before any of them starts."""

import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from combgrad.errors import CombgradError
from combgrad.results.identity import digest, run_key
from combgrad.runs.commands import in_shell
from combgrad.runs.configuration import resolved, run_name, scientific
from combgrad.runs.distinctions import flat
from combgrad.runs.explanations import describe
from combgrad.sweeps.expansion import Request
from combgrad.sweeps.jobs import Job

#: Composes the overrides of one job, with its `hydra` node.
Compose = Callable[[Sequence[str]], DictConfig]


class InvalidJobsError(CombgradError, ValueError):
    """Jobs that could never run, found before any was started."""


def prepare(requests: Sequence[Request], compose: Compose) -> list[Job]:
    """Compose and check all jobs; InvalidJobsError says, once each, why some could not run."""
    check = Checker()
    jobs: dict[str, Job] = {}
    errors: list[tuple[Request, Exception]] = []
    master = HydraConfig.instance().cfg
    for request in tqdm(requests, desc="checking the jobs", unit="job", leave=False, delay=1.0):
        try:
            full = compose(request.overrides)
            HydraConfig.instance().set_config(full)
            check_repeatable(full)
            config = resolved(full)
            key = check(config)
        except Exception as error:
            errors.append((request, error))
            continue
        name = run_name(config)
        jobs.setdefault(key, Job(request.overrides, request.group, config, name, key))
    HydraConfig.instance().cfg = master
    if errors:
        head = f"{len(errors)} of {len(requests)} jobs cannot run, and none was started: "
        raise InvalidJobsError(head + _reasons(errors))
    return list(jobs.values())


def _reasons(errors: Sequence[tuple[Request, Exception]]) -> str:
    """Every reason once, with the number of its jobs and the words of the first."""
    absent = _absent_options(error for _, error in errors)
    found: dict[str, list[Request]] = {}
    for request, error in errors:
        reason = absent.get(_group(error)) or describe(error, request.overrides)
        reason = "; ".join(line.strip() for line in reason.splitlines() if line.strip())
        found.setdefault(reason, []).append(request)
    lines = []
    for reason, jobs in found.items():
        words = "" if reason in absent.values() else f", such as {in_shell(jobs[0].overrides)}"
        lines.append(f"{reason} ({len(jobs)} {'jobs' if len(jobs) > 1 else 'job'}{words})")
    return lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)


def _group(error: Exception) -> str:
    """The config group that lacks an option; "" for any other error."""
    if not isinstance(error, MissingConfigException) or not error.options:
        return ""
    return str(error.missing_cfg_file).rpartition("/")[0]


def _absent_options(errors: Iterable[Exception]) -> dict[str, str]:
    """Group -> one line that says which of its options were asked for in vain."""
    asked: dict[str, dict[str, None]] = {}
    there: dict[str, str] = {}
    for error in errors:
        if (group := _group(error)) and isinstance(error, MissingConfigException):
            option = str(error.missing_cfg_file).rpartition("/")[2]
            asked.setdefault(group, {})[option] = None
            there[group] = ", ".join(error.options or ())
    return {
        group: f"there is no {group}={','.join(asked[group])}; there are {options}"
        for group, options in there.items()
    }


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
