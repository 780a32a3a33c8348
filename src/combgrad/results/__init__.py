"""What runs leave behind, and what is made of it; no torch in here."""

from typing import TYPE_CHECKING, Any

from combgrad.results.record import RunRecord
from combgrad.results.store import load_record, load_records, save_record

if TYPE_CHECKING:
    from combgrad.results.frames import frame

__all__ = ["RunRecord", "frame", "load_record", "load_records", "save_record"]


def __getattr__(name: str) -> Any:
    if name != "frame":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # pandas takes half a second to import, and runs and sweeps have no use for it.
    from combgrad.results.frames import frame

    return frame
