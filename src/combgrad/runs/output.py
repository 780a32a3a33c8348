# ruff: noqa: RUF001
"""Output for any terminal or file: letters that its encoding lacks are written in others."""

import codecs
import sys
import unicodedata

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


def write_anywhere() -> None:
    """Let stdout and stderr never fail because of a letter."""
    codecs.register_error("combgrad", in_other_letters)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="combgrad")
