"""The errors a user of the library can meet, each with the remedy, and what they may tell."""

import re

__all__ = [
    "CombgradError",
    "DoubleBackwardError",
    "IncompatibleError",
    "InfeasibleError",
    "MissingPackageError",
    "NoPricesError",
    "SolverFailedError",
    "SolverInputError",
    "SolverUnavailableError",
    "TimeLimitError",
    "UnboundedError",
    "WrongAnswerError",
]


class CombgradError(Exception):
    """Base of all errors that combgrad raises on purpose."""


class SolverInputError(CombgradError, ValueError):
    """Costs that no solver may answer: NaN, inf where none can be, a wrong shape, dtype or sign."""


class SolverUnavailableError(CombgradError, RuntimeError):
    """An optional solver backend that is missing, has no licence, or a licence too small."""


class MissingPackageError(CombgradError, ModuleNotFoundError):
    """A package that an extra brings and that is not installed."""


class IncompatibleError(CombgradError, ValueError):
    """Parts that cannot work together, found when they are put together."""


class DoubleBackwardError(CombgradError, RuntimeError):
    """A second derivative was asked of a solver, whose gradient is itself a replacement."""


class WrongAnswerError(CombgradError, AssertionError):
    """An answer of the wrong form or, with COMBGRAD_CHECK=1, infeasible or not optimal: a bug."""


class SolverFailedError(CombgradError, RuntimeError):
    """A solver that came to an end without a solution; see the classes below for common reasons."""


class InfeasibleError(SolverFailedError):
    """A problem without a solution: rows that contradict each other, too many entries forbidden."""


class UnboundedError(SolverFailedError):
    """An integer program whose cost falls without end."""


class NoPricesError(SolverFailedError):
    """An integer program whose rows have no prices, so that its value has no derivative by them."""


class TimeLimitError(SolverFailedError):
    """A solver that was not done within its time limit."""


#: scheme://, then a password (also one with a / of its own, which is no port), then what is kept.
_ADDRESS = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?:[^\s/?#:]*:(?!\d*(?:[/?#]|$))\S*@|[^\s/?#]*@)?"
    r"(?P<place>[^\s\"'<>?#]*)"
    r"(?:[?#][^\s\"'<>]*)?"
)


def redacted(text: str) -> str:
    """A text with every address in it cut down to scheme, host and path."""
    return _ADDRESS.sub(r"\g<scheme>\g<place>", text)
