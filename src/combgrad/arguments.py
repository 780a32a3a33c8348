"""What a part is made with: told by its repr, `NoiseMargin(alpha=0.1)`, and checked."""

import contextlib
import enum
import functools
import inspect
import numbers
import reprlib
from collections.abc import Callable
from typing import Any, Self, get_args

#: One more would not fit into what numpy and torch take for a seed.
LARGEST_SEED = 2**32 - 1


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, written as one; numpy's are, as in a loop over arange."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value is a number, of Python or numpy."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def epochs_until(until: float, epochs: float) -> float:
    """Where something ends that lasts `until`: up to 1 a fraction of all epochs, else epochs."""
    # 0.28 of 25 epochs are 7, and what rounding makes of them is a little more.
    return round(until * epochs, 9) if until <= 1 else until


def check_range(name: str, value: float, upper: float = float("inf")) -> float:
    """`value` as a float; ValueError unless 0 <= value <= upper."""
    if not is_number(value) or not 0 <= value <= upper or value == float("inf"):
        raise ValueError(f"{name} is {value!r}; it must be a number, finite and in [0, {upper}].")
    return float(value)


def check_count(name: str, value: int, group: str = "grad") -> int:
    """`value` as an int, ValueError unless it is a whole number >= 1; `group` is of the configs."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{group}.{name} is {value!r}; it must be a whole number of at least 1.")
    return int(value)


def check_positive(name: str, value: float, group: str = "grad") -> float:
    """`value` as a float, or ValueError unless it is finite and greater than 0."""
    try:
        positive = 0 < value < float("inf")
    except TypeError:
        positive = False
    if not positive:
        raise ValueError(f"{group}.{name} is {value!r}; it must be finite and greater than 0.")
    return float(value)


def check_option(name: str, value: str, kind: Any, group: str = "grad") -> None:
    """Raise ValueError unless `value` is one of the strings of `kind`, a Literal."""
    *others, last = map(repr, get_args(kind))
    if value not in get_args(kind):
        raise ValueError(f"{group}.{name} is {value!r}; choose {', '.join(others)} or {last}.")


def check_time_limit(seconds: float | None) -> float | None:
    """`seconds`, None for no limit; ValueError unless they are more than 0."""
    if seconds is not None and not (is_number(seconds) and seconds > 0):
        raise ValueError(f"time_limit is {seconds!r}; it must be a positive number of seconds.")
    return seconds


def brief(value: Any) -> str:
    """A value in a few words: arrays by their shape, functions by their name."""
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape):
        return f"{type(value).__name__}({', '.join(map(str, shape))})"
    if isinstance(value, Described):
        return repr(value)
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, frozenset | set | tuple | list) and len(value) < 7:
        words = map(brief, value)
        ordered = sorted(words) if isinstance(value, frozenset | set) else words
        return f"[{', '.join(ordered)}]"
    name = getattr(value, "__name__", None)
    return name if isinstance(name, str) else reprlib.repr(value)


@functools.cache
def _signature(init: Callable[..., None]) -> inspect.Signature:
    """How an instance is made by an __init__, without self."""
    signature = inspect.signature(init)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


class Described:
    """Base of solvers, gradient methods, projections and margins: its repr shows the parameters.

    Each as it is now where an attribute has its name, else as it was given; those that have their
    default value are left out.
    """

    _given: dict[str, str]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        given: dict[str, Any] = {}
        # What does not fit is refused by __init__; a copy has no arguments and gets its state.
        with contextlib.suppress(TypeError):
            given = _signature(cls.__init__).bind(*args, **kwargs).arguments
        # Words and not the values: arrays would be kept alive and copied with the part.
        self.__dict__["_given"] = {name: brief(value) for name, value in given.items()}
        return self

    @property
    def own_name(self) -> str:
        """What errors and warnings call this part: its class."""
        return type(self).__name__

    def settings(self) -> dict[str, Any]:
        """The constructor's parameters that are attributes, by name, as they are now."""
        return {
            name: vars(self)[name]
            for name in _signature(type(self).__init__).parameters
            if name in vars(self)
        }

    def __repr__(self) -> str:
        words = self._given | {name: brief(value) for name, value in self.settings().items()}
        shown = [
            f"{name}={words[name]}"
            for name, parameter in _signature(type(self).__init__).parameters.items()
            if name in words and words[name] != brief(parameter.default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"
