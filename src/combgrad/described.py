"""Parts that say how they were made: `TopK(k=3)`, `NoiseMargin(alpha=0.1)`."""

import contextlib
import enum
import functools
import inspect
import reprlib
from collections.abc import Callable
from typing import Any, Self


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
