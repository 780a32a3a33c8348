"""The traceback of an unforeseen error, kept in the run's folder while one line is shown."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from combgrad.errors import CombgradError, redacted
from combgrad.files.writing import write_text_atomically

FILE = "traceback.txt"


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Write what goes wrong meanwhile into `traceback.txt`, unless its message says it all."""
    (folder / FILE).unlink(missing_ok=True)
    try:
        yield
    except (CombgradError, OSError):
        raise
    except Exception as error:
        text = redacted("".join(traceback.format_exception(error)))
        with suppress(OSError):
            write_text_atomically(folder / FILE, text)
            error.add_note(f"the traceback is in {folder / FILE}")
        raise
