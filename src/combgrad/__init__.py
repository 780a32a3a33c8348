"""Networks with a combinatorial solver inside: one layer, exact solvers, exchangeable gradients.

The one convention of the package: `y(w) = argmin over y in Y of <w, y>`, where `w` are the
`costs` and `y` is the `solution`, both of shape (B, *S).
"""

from combgrad import gradients, margins, projections, solvers
from combgrad.errors import IncompatibleError, SolverInputError, SolverUnavailableError
from combgrad.layer import CombinatorialLayer

__version__ = "0.1.0"

__all__ = [
    "CombinatorialLayer",
    "IncompatibleError",
    "SolverInputError",
    "SolverUnavailableError",
    "__version__",
    "gradients",
    "margins",
    "projections",
    "solvers",
]
