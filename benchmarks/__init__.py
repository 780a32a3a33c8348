"""How fast the solvers are, and whether they are right, beside their references, in one run."""

from benchmarks.runner import PROBLEMS, UnknownProblemError, run

__all__ = ["PROBLEMS", "UnknownProblemError", "run"]
