"""Global alignment whose gaps are priced by the matches, as one solver of match costs."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.errors import SolverInputError
from combgrad.instances import EntryShape
from combgrad.solvers.alignment import Lengths, check_lengths
from combgrad.solvers.arrays import to_array, to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.kernels.tied_alignment import align_tied, align_tied_parallel
from combgrad.solvers.threads import thread_count

#: Expected work, for the choice of threads.
SECONDS_A_CELL = 1e-9

#: (rows, columns) that a move goes on by, in the order that decides ties.
MOVES = ((1, 1), (0, 1), (1, 0))


def align_exactly(costs: np.ndarray, gap: float) -> np.ndarray:
    """What the cheapest alignment of costs (n, m) pays for, (n, m), in integers of any size."""
    rows, columns = costs.shape
    whole, unit = gap.as_integer_ratio()
    ratios = [[value.as_integer_ratio() for value in line] for line in costs.tolist()]
    scale = max(below for line in ratios for _, below in line)
    prices = [[above * (scale // below) for above, below in line] for line in ratios]
    factors = (unit, whole, whole)

    def moves(i: int, j: int) -> list[tuple[int, int, int, int]]:
        price = prices[min(i, rows - 1)][min(j, columns - 1)]
        return [
            (price * factor + table[i + down][j + right], number, i + down, j + right)
            for number, ((down, right), factor) in enumerate(zip(MOVES, factors, strict=True))
            if i + down <= rows and j + right <= columns
        ]

    table = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            if (i, j) != (rows, columns):
                table[i][j] = min(moves(i, j))[0]
    solution, i, j = np.zeros(costs.shape), 0, 0
    while (i, j) != (rows, columns):
        _, number, down, right = min(moves(i, j))
        solution[min(i, rows - 1), min(j, columns - 1)] += 1.0 if number == 0 else gap
        i, j = down, right
    return solution


def pays_for_a_path(paid: np.ndarray, gap: float, slack: float) -> bool:
    """Whether (n, m) is what some alignment pays for, up to the slack of each entry."""
    rows, columns = paid.shape
    ways = [(0, 0, paid)]
    while ways:
        i, j, rest = ways.pop()
        if (i, j) == (rows, columns):
            if (np.abs(rest) <= slack).all():
                return True
            continue
        cell = (min(i, rows - 1), min(j, columns - 1))
        for (down, right), price in zip(MOVES, (1.0, gap, gap), strict=True):
            head = (i + down, j + right)
            left = rest[cell] - price
            if head[0] > rows or head[1] > columns or left < -slack:
                continue
            # A path comes back to no cell that it has left.
            if abs(left) <= slack or (min(head[0], rows - 1), min(head[1], columns - 1)) == cell:
                further = rest.copy()
                further[cell] = left
                ways.append((*head, further))
    return False


class TiedAlignment(Solver):
    """The cheapest global alignment where a gap costs `gap` times the match at the same place.

    y(w) = argmin <w, y> over all alignments, costs w (B, n, m) being those of matching position i
    of the prediction with k of the target, any sign. An alignment leads from the start to the end
    of both sequences; each of its moves leaves a pair (i, k) of next positions, at the price of
    w_ik where it matches them and of gap * w_ik where it passes over one of them. After the end of
    one sequence its last position counts. The solution y (B, n, m) is what is paid for: y_ik =
    [i matched with k] + gap * (number of gaps that leave (i, k)). So <w, y> is the cost of the
    alignment, and y its derivative. Exact for all finite costs; at ties a match goes before a gap
    in the prediction, and that before one in the target, seen from the start.

    It answers what `Alignment` does for the costs of `move_costs`, in a fraction of the time, where
    the path itself is not asked for.

    Args:
        gap: the price of a gap relative to a match, > 0.
        threads: how many to use; None decides by the work.

    A call takes `lengths`, integers (B, 2), at least 1: those of prediction and target of each
    instance; other costs are padding. Raises SolverInputError for other shapes or lengths,
    ValueError for another gap. Source: companion paper, section on sequence alignment (A-44).
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    per_row: Mapping[str, EntryShape] = {"lengths": (2,)}
    unrelaxed = "its answer is what a path pays for; Alignment has the path, by costs of move_costs"

    def __init__(self, gap: float = 1.5, threads: int | None = None) -> None:
        super().__init__()
        thread_count(0.0, threads)
        self.gap, self.threads = check_positive("gap", gap, "solver"), threads

    def _check_shape(self, shape: torch.Size) -> None:
        if len(shape) != 2 or 0 in shape:
            raise SolverInputError(
                f"TiedAlignment: costs have instance shape {tuple(shape)}; pass the costs of "
                f"matching n positions with m as (B, n, m), at least one of each."
            )

    def feasible(self, solution: Tensor, lengths: Lengths = None) -> Tensor:
        """Whether the solutions (B, n, m) are what some alignment pays for, (B,) bool."""
        ends = check_lengths(lengths, solution.shape, 1, "TiedAlignment").tolist()
        rounding = torch.finfo(solution.dtype).eps
        found = []
        for paid, (rows, columns) in zip(to_array(solution), ends, strict=True):
            slack = 4 * rounding * max(1.0, self.gap, float(np.abs(paid).max()))
            outside = np.abs(paid).sum() - np.abs(paid[:rows, :columns]).sum()
            inside = pays_for_a_path(paid[:rows, :columns], self.gap, slack)
            found.append(outside <= slack and inside)
        return torch.tensor(found, dtype=torch.bool, device=solution.device)

    def _solve(self, costs: Tensor, lengths: Lengths = None) -> Tensor:
        ends = check_lengths(lengths, costs.shape, 1, "TiedAlignment").numpy()
        array = to_native_array(costs)
        solution = np.empty_like(array)
        bits = self.gap.as_integer_ratio()[1].bit_length() - 1
        threads = min(thread_count(array.size * SECONDS_A_CELL, self.threads), len(array))
        if threads == 1:
            certain = align_tied(array, ends, self.gap, bits, solution)
        else:
            certain = align_tied_parallel(array, ends, self.gap, bits, solution, threads)
        for index in np.flatnonzero(~certain):
            rows, columns = ends[index]
            solution[index] = 0.0
            cells = array[index, :rows, :columns]
            solution[index, :rows, :columns] = align_exactly(cells, self.gap)
        return to_tensor(solution, like=costs)
