"""Networks with a combinatorial solver inside: one layer, exact solvers, exchangeable gradients.

The one convention of the package: `y(w) = argmin over y in Y of <w, y>`, where `w` are the
`costs` and `y` is the `solution`, both of shape (B, *S).

Everything in `__all__` is there after `import combgrad`, and loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from combgrad import (
        errors,
        gradients,
        losses,
        margins,
        metrics,
        projections,
        sampling,
        solvers,
    )
    from combgrad.errors import IncompatibleError, SolverInputError, SolverUnavailableError
    from combgrad.instances import Instances
    from combgrad.labels import Labels
    from combgrad.layer import CombinatorialLayer

__version__ = "0.1.0"

__all__ = [
    "CombinatorialLayer",
    "IncompatibleError",
    "Instances",
    "Labels",
    "SolverInputError",
    "SolverUnavailableError",
    "__version__",
    "errors",
    "gradients",
    "losses",
    "margins",
    "metrics",
    "projections",
    "sampling",
    "solvers",
]

#: The names that are no rooms, and where they are.
_HOMES = {
    "CombinatorialLayer": "layer",
    "IncompatibleError": "errors",
    "Instances": "instances",
    "Labels": "labels",
    "SolverInputError": "errors",
    "SolverUnavailableError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
