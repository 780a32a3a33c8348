"""The jobs of a sweep, and what is known of each."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from combgrad.files.claim import is_claimed
from combgrad.runs.commands import command
from combgrad.runs.configuration import record_folders


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
        """The folder it writes its record into."""
        return Path(self.config.paths.results).absolute()

    @property
    def record_folders(self) -> tuple[Path, Path]:
        """Where its record is looked for."""
        return record_folders(self.config)

    @property
    def command(self) -> str:
        """What runs it alone, for a shell."""
        return command([*self.overrides, "resume=true"])

    def is_cut_off(self) -> bool:
        """Whether an earlier attempt left a checkpoint behind."""
        return (self.folder / "checkpoints" / "last.ckpt").exists()

    def is_running(self) -> bool:
        """Whether some process is at work on it."""
        return is_claimed(self.folder)
