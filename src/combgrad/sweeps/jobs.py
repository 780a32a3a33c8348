"""The jobs of a sweep, and what is known of each."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from combgrad.claim import is_claimed
from combgrad.results.record import RunRecord, file_name
from combgrad.results.store import load_record


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
        return Path(self.config.paths.output).absolute()

    @property
    def results(self) -> Path:
        """The folder of its record."""
        return Path(self.config.paths.results).absolute()

    @property
    def command(self) -> str:
        """What runs it alone, for a shell."""
        return shlex.join(["python", "train.py", *self.overrides, "resume=true"])

    def record(self) -> RunRecord | None:
        """The complete record of its key; None where there is none, or only a broken one."""
        path = self.results / file_name(self.name, self.key)
        try:
            record = load_record(path)
        except (OSError, ValueError):
            return None  # the run warns of a broken file and replaces it
        return record if record.key == self.key else None

    def is_done(self) -> bool:
        """Whether its record is there."""
        return self.record() is not None

    def is_cut_off(self) -> bool:
        """Whether an earlier attempt left a checkpoint behind."""
        return (self.folder / "checkpoints" / "last.ckpt").exists()

    def is_running(self) -> bool:
        """Whether some process is at work on it."""
        return is_claimed(self.folder)
