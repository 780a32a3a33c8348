"""What one launch of a job came to: by the launcher's word, and by the status in its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from combgrad.files.claim import RunBusyError, Status, in_one_line
from combgrad.sweeps.task import Outcome, ProcessDiedError


@dataclass(frozen=True)
class Answer:
    """The end of one launch, before anybody has looked for its record.

    Attributes:
        launched: whether the job was started at all, or is said to have been.
        ours: whether it was this sweep that worked on it, rather than finding it done.
        record: where the job says its record lies, or None.
        final: whether its error would only come again.
        error: why there may be no record.
    """

    launched: bool
    ours: bool
    record: Path | None
    final: bool
    error: str


def answer_of(
    result: JobReturn | None, old: Status | None, new: Status | None, sweep: str, trouble: str
) -> Answer:
    """The answer to one launch.

    Args:
        result: what the launcher returned for it; None where it gave up as a whole.
        old, new: the status in the job's folder before and after.
        sweep: the id of the sweep, to know its own traces by.
        trouble: why the launcher gave up, or "".
    """
    began = new is not None and new != old and new.sweep == sweep
    status = new if began else None
    final, error = _error(_raised(result), status, trouble)
    return Answer(
        launched=began or result is not None,
        ours=not (status is not None and status.found)
        and (began or (result is not None and not isinstance(_raised(result), RunBusyError))),
        record=_record(result, status),
        final=final,
        error=error,
    )


def _raised(result: JobReturn | None) -> BaseException | None:
    if result is None or result.status != JobStatus.FAILED:
        return None
    error: Any = result._return_value  # the public property prints the traceback
    return error if isinstance(error, BaseException) else RuntimeError(str(error))


def _record(result: JobReturn | None, status: Status | None) -> Path | None:
    outcome = result._return_value if result is not None else None
    if isinstance(outcome, Outcome) and outcome.record:
        return Path(outcome.record)
    return Path(status.record) if status is not None and status.record else None


def _error(raised: BaseException | None, status: Status | None, trouble: str) -> tuple[bool, str]:
    """Whether trying again is of no use, and why there may be no record."""
    if isinstance(raised, RunBusyError):
        return False, "another process was at work on it, and ended without a record"
    if raised is not None and not isinstance(raised, ProcessDiedError):
        return True, in_one_line(raised)
    if status is not None and status.state == "failed":
        return True, status.error
    if status is not None and status.state == "running":
        died = f"its process died after epoch {status.epoch} of {status.epochs}"
        return False, f"{died} ({trouble})" if trouble else died
    if raised is not None:
        return False, str(raised)
    return False, "it ended without a record"
