"""Exact solvers: plain objects that map costs (B, *S) to solutions (B, *S)."""

from combgrad.solvers.alignment import Alignment, move_costs
from combgrad.solvers.assignment import Assignment
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.brute_force import BruteForceTSP
from combgrad.solvers.cache import Cached
from combgrad.solvers.edges import edges_to_matrix, matrix_to_edges
from combgrad.solvers.energy_scheduling import EnergyScheduling
from combgrad.solvers.function import from_function
from combgrad.solvers.graph_matching import GraphMatching
from combgrad.solvers.graph_path import GraphShortestPath
from combgrad.solvers.gurobi_tsp import GurobiTSP
from combgrad.solvers.ilp import ILP
from combgrad.solvers.knapsack import Knapsack
from combgrad.solvers.portfolio import Portfolio
from combgrad.solvers.pyepo import from_pyepo
from combgrad.solvers.ranking import Ranking
from combgrad.solvers.shortest_path import ShortestPath
from combgrad.solvers.solution_pool import SolutionPool
from combgrad.solvers.spanning_tree import SpanningTree
from combgrad.solvers.tied_alignment import TiedAlignment
from combgrad.solvers.topk import TopK
from combgrad.solvers.tsp import TSP

__all__ = [
    "ILP",
    "TSP",
    "Alignment",
    "Assignment",
    "BruteForceTSP",
    "Cached",
    "EnergyScheduling",
    "GraphMatching",
    "GraphShortestPath",
    "GurobiTSP",
    "Knapsack",
    "Portfolio",
    "Ranking",
    "ShortestPath",
    "SolutionPool",
    "Solver",
    "SpanningTree",
    "TiedAlignment",
    "TopK",
    "Trait",
    "edges_to_matrix",
    "from_function",
    "from_pyepo",
    "matrix_to_edges",
    "move_costs",
]
