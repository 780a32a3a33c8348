"""Global alignment whose gaps are priced by the matches, as one solver of match costs."""

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.errors import SolverInputError
from combgrad.instances import EntryShape
from combgrad.solvers.alignment import Lengths, check_lengths, moves_of
from combgrad.solvers.arrays import to_array, to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.kernels.exact_paths import ordered_path_of_multiples
from combgrad.solvers.kernels.tied_alignment import align_tied, align_tied_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_A_CELL = 1e-9

#: (rows, columns) that a move goes on by, in the order that decides ties.
MOVES = ((1, 1), (0, 1), (1, 0))


def align_exactly(costs: np.ndarray, gap: float) -> np.ndarray:
    """What the cheapest alignment of costs (n, m) pays for, (n, m), in exact integers."""
    rows, columns = costs.shape
    moves, tails, heads = moves_of(torch.tensor(costs.shape, device="cpu"), rows + 1, columns + 1)
    i, j = np.divmod(tails, columns + 1)
    cells = np.minimum(i, rows - 1) * columns + np.minimum(j, columns - 1)
    entries = cells + costs.size * (moves % 3 > 0)
    nodes = (rows + 1) * (columns + 1)
    offsets = np.searchsorted(tails, np.arange(nodes + 1))
    flat = costs.astype(np.float64).ravel()
    matches, gaps = ordered_path_of_multiples(flat, gap, offsets, heads, entries, nodes - 1)
    return (matches + gap * gaps).reshape(costs.shape)


def pays_for_a_path(paid: np.ndarray, gap: float, slack: float) -> bool:
    """Whether (n, m) is what some alignment pays for, up to the slack of each entry."""
    rows, columns = paid.shape
    needed = ~(np.abs(paid) <= slack)
    # No path comes back to a cell that it has left, so all that matters of the way to a node is the
    # rest of its cell and, of equal rests, the largest number of needed cells. By i + j, then node:
    ways: list[dict[tuple[int, int], dict[float, int]]] = [{} for _ in range(rows + columns + 1)]
    ways[0][0, 0] = {float(paid[0, 0]): int(needed[0, 0])}
    for (i, j), rests in itertools.chain.from_iterable(nodes.items() for nodes in ways):
        cell = (min(i, rows - 1), min(j, columns - 1))
        for rest, count in rests.items():
            for (down, right), price in zip(MOVES, (1.0, gap, gap), strict=True):
                head, left, met = (i + down, j + right), rest - price, count
                if head[0] > rows or head[1] > columns or left < -slack:
                    continue
                entered = (min(head[0], rows - 1), min(head[1], columns - 1))
                if entered != cell:
                    if not abs(left) <= slack:
                        continue
                    left, met = float(paid[entered]), count + int(needed[entered])
                known = ways[sum(head)].setdefault(head, {})
                known[left] = max(known.get(left, 0), met)
    ends = ways[-1].get((rows, columns), {})
    return any(abs(rest) <= slack and count == needed.sum() for rest, count in ends.items())


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

    It answers what `Alignment` does for the costs of `move_costs`, where the path itself is not
    asked for: in a fraction of the time if sums in float64 tell the best one. Where ties leave it
    in doubt, as those of costs in tenths do, integers take a hundred times as long, once or twice
    what they take in `Alignment`.

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
        self.gap, self.threads = check_positive("gap", gap, "solver"), checked_threads(threads)

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
        given = (array, ends, self.gap, bits, solution)
        work = array.size * SECONDS_A_CELL
        certain = on_threads(work, self.threads, align_tied, align_tied_parallel, *given)
        for index in np.flatnonzero(~certain):
            rows, columns = ends[index]
            solution[index] = 0.0
            cells = array[index, :rows, :columns]
            solution[index, :rows, :columns] = align_exactly(cells, self.gap)
        return to_tensor(solution, like=costs)
