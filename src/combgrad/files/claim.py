"""Who is at work on a run: a lock no two processes can hold, and what its holder is doing."""

import dataclasses
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combgrad.errors import CombgradError, redacted
from combgrad.files.locking import HeldError, held
from combgrad.files.writing import write_text_atomically

LOCK = "lock"
STATUS = "status.json"


class RunBusyError(CombgradError, RuntimeError):
    """Another process is at work on the same run."""


@dataclass(frozen=True)
class Status:
    """What the last process that worked on a run wrote about itself.

    Attributes:
        state: `running`, `done` or `failed`; a killed process leaves `running` behind.
        host, pid: of the process.
        started: seconds since 1970.
        sweep: the id of the sweep it belonged to, or "".
        epoch, epochs: finished and wanted ones; 0 before the first.
        error: what went wrong, in one line, or "".
        record: where the run's record lies, absolute; "" as long as there is none.
        found: whether the record was there already, so that there was nothing to do.
    """

    state: str
    host: str
    pid: int
    started: float
    sweep: str = ""
    epoch: int = 0
    epochs: int = 0
    error: str = ""
    record: str = ""
    found: bool = False

    @classmethod
    def mine(cls, sweep: str = "") -> "Status":
        """The status of this process, running from now on."""
        return cls("running", socket.gethostname(), os.getpid(), time.time(), sweep)


def read_status(folder: Path) -> Status | None:
    """The status left in a run's folder; None where there is none that can be read."""
    try:
        return Status(**json.loads((folder / STATUS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_status(folder: Path, status: Status) -> None:
    """Replace the status in a run's folder."""
    write_text_atomically(folder / STATUS, json.dumps(dataclasses.asdict(status)) + "\n")


def note_epoch(folder: Path, epoch: int, epochs: int) -> None:
    """Write into the status how far the run has come."""
    _amend(folder, epoch=epoch, epochs=epochs)


def note_record(folder: Path, record: Path, found: bool = False) -> None:
    """Write into the status where the run's record lies, and whether it was `found` there."""
    _amend(folder, record=str(record.absolute()), found=found)


def is_claimed(folder: Path) -> bool:
    """Whether some living process holds the run's lock."""
    if not (folder / LOCK).exists():
        return False
    try:
        with held(folder / LOCK, patience=0):
            return False
    except HeldError:
        return True


@contextmanager
def claim(folder: Path, sweep: str = "") -> Iterator[None]:
    """Hold the lock of the run in `folder`; RunBusyError names who holds it already.

    While it is held, `status.json` beside it says who works; afterwards, how it ended.

    The operating system frees the lock when its holder dies, however it dies, so that a lock can
    never go stale. On a network file system it must support `flock` (NFS 4, Lustre with `flock`).
    """
    with ExitStack() as stack:
        try:
            # A little patience: `is_claimed` holds the lock for a moment.
            stack.enter_context(held(folder / LOCK, patience=1.0))
        except HeldError:
            holder = read_status(folder)
            who = f"process {holder.pid} on {holder.host}" if holder else "another process"
            raise RunBusyError(
                f"{who} is at work on this run ({folder.name}); wait for it, or stop it first."
            ) from None
        write_status(folder, Status.mine(sweep))
        try:
            yield
        except BaseException as error:
            # On a full disk the first error is the one to hear of.
            with suppress(OSError):
                _amend(folder, state="failed", error=in_one_line(error))
            raise
        _amend(folder, state="done")


def _amend(folder: Path, **changes: Any) -> None:
    status = read_status(folder)
    if status is not None:
        write_status(folder, dataclasses.replace(status, **changes))


def in_one_line(error: BaseException) -> str:
    """What an error says, in one line: its kind and its first line."""
    text = redacted(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
