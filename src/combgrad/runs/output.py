# ruff: noqa: RUF001
"""Output for any terminal, file or program, whatever letters it lacks and when it stops reading."""

import codecs
import io
import os
import stat
import sys
import unicodedata
from typing import Any

#: What is not made of a letter and an accent.
PLAIN = {
    "±": "+-",
    "×": "x",
    "·": "*",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≈": "~",
    "∞": "inf",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "α": "alpha",
    "β": "beta",
    "λ": "lambda",
    "μ": "mu",
    "ξ": "xi",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "ø": "o",
    "ß": "ss",
    "æ": "ae",
    "ł": "l",
}


def in_other_letters(error: UnicodeError) -> tuple[str, int]:
    """An error handler of codecs: `±` becomes `+-`, `é` becomes `e`, the unknown `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = [_plain(letter) for letter in error.object[error.start : error.end]]
    return "".join(letters), error.end


def _plain(letter: str) -> str:
    if letter in PLAIN:
        return PLAIN[letter]
    if "─" <= letter <= "╿":  # lines of tables
        return "-" if letter in "─━╌╍═" else "|" if letter in "│┃║" else "+"
    if "▀" <= letter <= "▟":  # bars
        return "#"
    decomposed = unicodedata.normalize("NFKD", letter)
    return "".join(part for part in decomposed if part.isascii()) or "?"


class Pipe(io.FileIO):
    """What is written into it is lost once nobody reads it any more, as behind `| head`."""

    def write(self, data: Any) -> int:
        """Bytes that were written, or would have been; see `io.RawIOBase.write`."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


def write_anywhere() -> None:
    """Let stdout and stderr never fail because of a letter, or because nobody reads them."""
    codecs.register_error("combgrad", in_other_letters)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="combgrad")
            if _is_pipe(stream):
                setattr(sys, name, _lasting(stream))


def _is_pipe(stream: io.TextIOWrapper) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except OSError:  # of a stream that is in memory, or closed
        return False


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    pipe = Pipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        pipe if stream.write_through else io.BufferedWriter(pipe),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
