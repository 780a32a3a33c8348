"""The jobs of a sweep: composed and checked before any starts, and what is known of each."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tqdm import tqdm

from combgrad.claim import is_claimed
from combgrad.configuration import digest, resolved, run_name
from combgrad.errors import CombgradError
from combgrad.results.record import RunRecord, file_name
from combgrad.results.store import load_record
from combgrad.sweeps.expansion import Request
from combgrad.terminal import describe

#: Composes the overrides of one job, with its `hydra` node.
Compose = Callable[[Sequence[str]], DictConfig]


class InvalidJobsError(CombgradError, ValueError):
    """Jobs that could never run, found before any was started."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        overrides: as given to Hydra, without what only this sweep adds.
        group: the table or figure it belongs to, or None.
        config: resolved.
        name: readable.
        key: of its record.
    """

    overrides: tuple[str, ...]
    group: str | None
    config: DictConfig
    name: str
    key: str

    @property
    def folder(self) -> Path:
        """Where it works."""
        return Path(self.config.paths.output)

    @property
    def record_path(self) -> Path:
        """Where its record lies, or will lie."""
        return Path(self.config.paths.results) / file_name(self.name, self.key)

    @property
    def command(self) -> str:
        """What runs it alone."""
        return " ".join(["python train.py", *map(_shell, self.overrides), "resume=true"])

    def record(self) -> RunRecord | None:
        """Its record where it is complete; ValueError where the file is broken."""
        return load_record(self.record_path) if self.record_path.exists() else None

    def is_cut_off(self) -> bool:
        """Whether an earlier attempt left a checkpoint behind."""
        return (self.folder / "checkpoints" / "last.ckpt").exists()

    def is_running(self) -> bool:
        """Whether some process is at work on it."""
        return is_claimed(self.folder)


def _shell(word: str) -> str:
    return f"'{word}'" if set(word) & set(' []{}$&;()<>|*?"') else word


def prepare(requests: Sequence[Request], compose: Compose) -> list[Job]:
    """Compose and check all jobs; InvalidJobsError names every one that could not run, and why."""
    check = Checker()
    jobs: dict[str, Job] = {}
    errors = []
    master = HydraConfig.instance().cfg
    for request in tqdm(requests, desc="checking the jobs", unit="job", leave=False, delay=1.0):
        try:
            full = compose(request.overrides)
            HydraConfig.instance().set_config(full)
            config = resolved(full)
            key = check(config)
        except Exception as error:
            errors.append(
                f"  {' '.join(request.overrides)}\n    {describe(error, request.overrides)}"
            )
            continue
        name = run_name(config)
        jobs.setdefault(key, Job(request.overrides, request.group, config, name, key))
    HydraConfig.instance().cfg = master
    if errors:
        raise InvalidJobsError(
            f"{len(errors)} of {len(requests)} jobs cannot run, and none was started:\n"
            + "\n".join(errors)
        )
    return list(jobs.values())


class Checker:
    """Builds the cheap parts of a configuration, each different one once, and gives its key."""

    def __init__(self) -> None:
        self._layers: set[str] = set()
        self._fingerprints: dict[str, str] = {}

    def __call__(self, config: DictConfig) -> str:
        """The run's key; any error that the run would meet at its start."""
        # Torch and Lightning take seconds to import, and nothing else of a sweep needs them.
        from hydra.utils import instantiate

        from combgrad.run import build_layer, run_key

        nodes = ("solver", "grad", "proj", "margin", "corruption")
        parts = digest(*(str(config[node]) for node in nodes))
        if parts not in self._layers:
            build_layer(config)
            self._layers.add(parts)
        data = digest(str(config.data))
        if data not in self._fingerprints:
            self._fingerprints[data] = instantiate(config.data).data_fingerprint
        return run_key(config, self._fingerprints[data])


def expected_seconds(job: Job, records: Iterable[RunRecord]) -> float | None:
    """The time a job will take: the median of finished runs most like it; None without any."""
    experiment, profile = str(job.config.choices.experiment), str(job.config.profile.name)
    alike = [r for r in records if (r.experiment, r.profile) == (experiment, profile)]
    closer = [r for r in alike if r.choices.get("grad") == str(job.config.choices.grad)]
    times = [r.seconds["train"] + r.seconds["eval"] for r in closer or alike]
    return statistics.median(times) if times else None
