"""Exact solvers: plain objects that map costs (B, *S) to solutions (B, *S)."""

from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.brute_force import BruteForceTSP
from combgrad.solvers.gurobi_tsp import GurobiTSP
from combgrad.solvers.tsp import TSP

__all__ = ["TSP", "BruteForceTSP", "GurobiTSP", "Solver", "Trait"]
