"""Linear assignment and sequence alignment, against scipy and plain Python."""

from functools import partial

import torch

from benchmarks.cases import Case, Plan, function, solving
from benchmarks.references import python_alignment, scipy_assignment
from combgrad.solvers import Alignment, Assignment, move_costs

ASSIGNMENT_SIZES = (4, 8, 16, 32)
ASSIGNMENT_BATCH = 1000
ALIGNMENT_SIZES = (20, 50)
ALIGNMENT_BATCH = 50


def assignment_case(size: int, threads: int) -> Case:
    """Uniformly random square matrices."""
    generator = torch.Generator().manual_seed(size)
    return Case(
        "assignment",
        size,
        torch.rand(ASSIGNMENT_BATCH, size, size, generator=generator),
        (
            function("scipy", scipy_assignment),
            solving("combgrad", Assignment),
            *(solving("combgrad", Assignment, threads=n) for n in range(2, threads + 1)),
        ),
    )


def alignment_case(length: int) -> Case:
    """Sequences of random features, matched at the price of their difference."""
    generator = torch.Generator().manual_seed(length)
    first, second = torch.rand(2, ALIGNMENT_BATCH, length, generator=generator)
    matches = (first[:, :, None] - second[:, None, :]).abs() + 0.05
    return Case(
        "alignment",
        length,
        move_costs(matches),
        (function("plain Python", python_alignment), solving("combgrad", Alignment)),
    )


def assignment_plans(threads: int) -> list[Plan]:
    """All cases; the larger matrices also at 2 threads where the machine has them."""
    return [
        Plan(
            f"assignment {size}",
            partial(assignment_case, size, threads if size >= 16 else 1),
            quick=size <= 8,
        )
        for size in ASSIGNMENT_SIZES
    ]


def alignment_plans(threads: int) -> list[Plan]:
    """All cases, at one thread: their batches are small."""
    del threads
    return [
        Plan(f"alignment {length}", partial(alignment_case, length), quick=length <= 20)
        for length in ALIGNMENT_SIZES
    ]
