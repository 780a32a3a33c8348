"""Spanning trees, knapsacks and integer programs, against scipy and numpy."""

from functools import partial

import numpy as np
import torch

from benchmarks.cases import Case, Plan, function, solving
from benchmarks.references import numpy_knapsack, scipy_program, scipy_tree
from combgrad.solvers import ILP, Knapsack, SpanningTree
from combgrad.solvers.edges import edge_count

TREE_SIZES = (10, 20, 50)
KNAPSACK_SIZES = (20, 50, 100)
PROGRAM_SIZES = (10, 20, 40)
MATCHING_SIZES = (5, 10)
BATCH = 100

#: Integer programs are solved one by one, in milliseconds each.
PROGRAM_BATCH = 20
PROGRAM_ROWS = 3

#: The heaviest item of a knapsack; half of all weight fits.
HEAVIEST = 30


def tree_case(nodes: int) -> Case:
    """Complete graphs with uniformly random costs."""
    generator = torch.Generator().manual_seed(nodes)
    return Case(
        "spanning_tree",
        nodes,
        torch.rand(BATCH, edge_count(nodes), generator=generator) + 0.01,
        (function("scipy", scipy_tree), solving("combgrad", SpanningTree)),
    )


def knapsack_case(items: int) -> Case:
    """Random values, and weights that the batch shares."""
    generator = torch.Generator().manual_seed(items)
    weights = np.random.default_rng(items).integers(1, HEAVIEST + 1, items)
    capacity = int(weights.sum()) // 2
    return Case(
        "knapsack",
        items,
        -torch.rand(BATCH, items, generator=generator),
        (
            function("numpy", partial(numpy_knapsack, weights=weights, capacity=capacity)),
            solving("combgrad", partial(Knapsack, weights, capacity)),
        ),
    )


def program_costs(variables: int) -> torch.Tensor:
    """Random costs of a batch, all negative."""
    generator = torch.Generator().manual_seed(variables)
    return -torch.rand(PROGRAM_BATCH, variables, generator=generator, dtype=torch.float64)


def program_case(variables: int) -> Case:
    """Knapsacks with several constraints, which the batch shares; no relaxation is whole."""
    random = np.random.default_rng(variables)
    matrix = random.integers(1, HEAVIEST + 1, (PROGRAM_ROWS, variables)).astype(float)
    upper = np.floor(matrix.sum(axis=1) / 2)
    return Case(
        "ilp",
        variables,
        program_costs(variables),
        (
            function("scipy milp", partial(scipy_program, matrix=matrix, upper=upper)),
            solving("combgrad", partial(ILP, matrix, upper=upper)),
        ),
    )


def matching_case(size: int) -> Case:
    """Assignments as programs in matrix form, whose relaxations are whole."""
    eye, ones = np.eye(size), np.ones(size)
    matrix = np.concatenate([np.kron(eye, ones), np.kron(ones, eye)])
    return Case(
        "ilp assignment",
        size,
        program_costs(size**2),
        (
            function("scipy milp", partial(scipy_program, matrix=matrix, upper=1.0, lower=1.0)),
            solving("combgrad", partial(ILP, A_eq=matrix, b_eq=1.0)),
        ),
    )


def tree_plans(threads: int) -> list[Plan]:
    """All cases, at one thread: their batches are small."""
    del threads
    return [
        Plan(f"spanning_tree {nodes}", partial(tree_case, nodes), quick=nodes <= 20)
        for nodes in TREE_SIZES
    ]


def knapsack_plans(threads: int) -> list[Plan]:
    """All cases, at one thread: their batches are small."""
    del threads
    return [
        Plan(f"knapsack {items}", partial(knapsack_case, items), quick=items <= 20)
        for items in KNAPSACK_SIZES
    ]


def program_plans(threads: int) -> list[Plan]:
    """All cases, at one thread: so do the backends."""
    del threads
    kinds = (
        ("ilp", program_case, PROGRAM_SIZES),
        ("ilp assignment", matching_case, MATCHING_SIZES),
    )
    return [
        Plan(f"{name} {size}", partial(case, size), quick=size <= 10)
        for name, case, sizes in kinds
        for size in sizes
    ]
