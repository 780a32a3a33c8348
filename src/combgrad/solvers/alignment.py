"""Global alignment of two sequences, exact, in compiled code."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy
import torch
from torch import Tensor

from combgrad.arguments import check_positive
from combgrad.errors import SolverInputError
from combgrad.instances import EntryShape, Instances
from combgrad.solvers.arrays import integer_array, to_native_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.ilp_program import Program, checked_program
from combgrad.solvers.kernels.exact_paths import ordered_paths
from combgrad.solvers.kernels.needleman_wunsch import align, align_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_A_NODE = 2e-9

Lengths = Tensor | np.ndarray | Sequence[Sequence[int]] | None


def check_lengths(lengths: Lengths, shape: torch.Size, least: int, name: str) -> Tensor:
    """The lengths (B, 2), int64 on the CPU, of two sequences an instance; all of them if None.

    `shape` is (B, longest prediction, longest target); raises SolverInputError for lengths that
    are not between `least` and the longest.
    """
    if lengths is None:
        # By numpy, for torch takes a tenth of the time of a whole batch for it.
        return torch.from_numpy(np.full((shape[0], 2), shape[1:3], dtype=np.int64))
    longest = torch.tensor(shape[1:3], device="cpu")
    wanted = f"those of the prediction and of the target of each instance, ({shape[0]}, 2)"
    try:
        given = torch.from_numpy(integer_array("lengths", lengths, wanted))
    except ValueError as error:
        raise SolverInputError(f"{name}: {error}") from error
    given = given.view(0, 2) if given.numel() == 0 else given
    if given.shape != (shape[0], 2):
        raise SolverInputError(f"{name}: lengths have shape {tuple(given.shape)}; pass {wanted}.")
    wrong = ((given < least) | (given > longest)).any(dim=1)
    if bool(wrong.any()):
        index = int(wrong.nonzero()[0])
        raise SolverInputError(
            f"{name}: lengths of batch index {index} are {tuple(given[index].tolist())}; with "
            f"these costs they are between {least} and {tuple(longest.tolist())}."
        )
    return given


def move_mask(lengths: Tensor, rows: int, columns: int) -> Tensor:
    """Which moves exist, (B, rows, columns, 3) bool, for sequences of `lengths` (B, 2).

    Node (i, j), i <= the prediction's and j <= the target's length, is left by the moves to
    (i+1, j+1), (i, j+1) and (i+1, j); a move exists if it ends in such a node too.
    """
    down = torch.arange(rows, device=lengths.device) < lengths[:, :1]
    right = torch.arange(columns, device=lengths.device) < lengths[:, 1:]
    row = torch.arange(rows, device=lengths.device) <= lengths[:, :1]
    column = torch.arange(columns, device=lengths.device) <= lengths[:, 1:]
    pairs = ((down, right), (row, right), (down, column))
    return torch.stack([first[:, :, None] & second[:, None, :] for first, second in pairs], dim=3)


def move_costs(match_costs: Tensor, gap: float = 1.5, lengths: Lengths = None) -> Tensor:
    """The costs of all moves of `Alignment`, differentiable, from the costs of matching.

    The diagonal move that leaves node (i, j) costs w_ij, matching prediction i with target j; the
    two gap moves that leave it cost gap * w_ij. No diagonal leaves the nodes after the end of a
    sequence, so there the nearest one prices the gap: gap * w_ij with i and j clamped to the last
    position. Moves that do not exist cost 0, and padding of match_costs is never read.

    Args:
        match_costs: (B, n, m), prediction positions times target positions, n, m >= 1.
        gap: the price of a gap relative to the match that leaves the same node.
        lengths: (B, 2) integers >= 1, where the sequences are shorter than n and m.

    Returns (B, n+1, m+1, 3): diagonal, gap in the prediction (j+1), gap in the target (i+1).
    """
    if match_costs.dim() != 3 or 0 in match_costs.shape[1:]:
        raise SolverInputError(
            f"move_costs: match costs have shape {tuple(match_costs.shape)}; pass (B, n, m) with "
            f"at least one position in each sequence."
        )
    batch, n, m = match_costs.shape
    device = match_costs.device
    used = check_lengths(lengths, match_costs.shape, 1, "move_costs").to(device)
    rows = torch.minimum(torch.arange(n + 1, device=device), used[:, :1] - 1)
    columns = torch.minimum(torch.arange(m + 1, device=device), used[:, 1:] - 1)
    instances = torch.arange(batch, device=device)[:, None, None]
    nearest = match_costs[instances, rows[:, :, None], columns[:, None, :]]
    moves = torch.stack([nearest, gap * nearest, gap * nearest], dim=3)
    return moves.masked_fill(~move_mask(used, n + 1, m + 1), 0.0)


def moves_of(lengths: Tensor, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The moves (E,) that exist for lengths (2,): their entries of (N, M, 3), tails and heads."""
    entries = np.flatnonzero(move_mask(lengths[None], rows, columns)[0].numpy())
    nodes, moves = np.divmod(entries, 3)
    return entries, nodes, nodes + np.array([columns + 1, 1, columns])[moves]


def align_exactly(costs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The cheapest path (N, M, 3) for costs (N, M, 3) and lengths (2,), in exact integers.

    Where there is none, the answer is some path along forbidden moves.
    """
    rows, columns, _ = costs.shape
    entries, nodes, heads = moves_of(torch.from_numpy(lengths), rows, columns)
    offsets = np.searchsorted(nodes, np.arange(rows * columns + 1))
    end = int(lengths[0] * columns + lengths[1])
    solution = np.zeros((1, costs.size), dtype=np.uint8)
    flat = costs.reshape(1, -1).astype(np.float64)
    if not ordered_paths(flat, offsets, heads, entries, 0, end, solution).all():
        ordered_paths(np.zeros_like(flat), offsets, heads, entries, 0, end, solution)
    return solution.reshape(costs.shape)


class Alignment(Solver):
    """The cheapest global alignment: y(w) = argmin <w, y> over paths y from corner to corner.

    Costs (B, N, M, 3) are those of the moves that leave the nodes (i, j) of an N x M grid, where i
    positions of the prediction and j of the target are consumed: a diagonal to (i+1, j+1), a gap
    in the prediction to (i, j+1), a gap in the target to (i+1, j). Sequences of length n and m
    have N = n+1, M = m+1 nodes: the path leads from (0, 0) to (n, m). Solutions (B, N, M, 3) are 1
    on its moves. Costs have any sign; at ties the move that comes first above is taken, seen from
    the start. Moves that leave the grid, or the lengths, are never used, whatever they cost; a cost
    of +inf forbids any other. Exact for all finite costs: what sums in float64 leave in doubt is
    solved in integers of any size.

    `move_costs` builds the costs from those of matching, with a price for gaps.

    Args:
        gap: the price of a gap in the method `move_costs`, relative to a match, > 0.
        threads: how many to use; None decides by the work.

    A call takes `lengths`, integers (B, 2): those of prediction and target of each instance.
    Raises SolverInputError for other shapes or lengths, InfeasibleError where the forbidden moves
    leave no path. Source: Needleman & Wunsch 1970.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    per_row: Mapping[str, EntryShape] = {"lengths": (2,)}
    forbids = True
    unrelaxed = None

    def __init__(self, gap: float = 1.5, threads: int | None = None) -> None:
        super().__init__()
        self.gap, self.threads = check_positive("gap", gap, "solver"), checked_threads(threads)

    def move_costs(self, match_costs: Tensor, lengths: Lengths = None) -> Tensor:
        """Costs (B, n+1, m+1, 3) from match costs (B, n, m); see the function of this name."""
        return move_costs(match_costs, self.gap, lengths)

    def _check_shape(self, shape: torch.Size) -> None:
        if len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise SolverInputError(
                f"Alignment: costs have instance shape {tuple(shape)}; pass the three moves that "
                f"leave each node as (B, N, M, 3), which move_costs makes of match costs (B, n, m)."
            )

    def feasible(self, solution: Tensor, lengths: Lengths = None) -> Tensor:
        """Whether the solutions (B, N, M, 3) are paths along moves that exist, (B,) bool."""
        batch, rows, columns, _ = solution.shape
        ends = self._ends(lengths, solution.shape).to(solution.device)
        moves = (solution == 1).long()
        exists = (solution == 0) | ((solution == 1) & move_mask(ends, rows, columns))
        flow = moves.sum(dim=3)
        flow[:, 1:, 1:] -= moves[:, :-1, :-1, 0]
        flow[:, :, 1:] -= moves[:, :, :-1, 1]
        flow[:, 1:, :] -= moves[:, :-1, :, 2]
        flow[:, 0, 0] -= 1
        flow[torch.arange(batch, device=solution.device), ends[:, 0], ends[:, 1]] += 1
        return exists.flatten(1).all(dim=1) & (flow == 0).flatten(1).all(dim=1)

    def own_entries(self, costs: Tensor, instances: Instances) -> Tensor | None:
        """Those of the nodes up to the end of the sequences, or where `valid` says so.

        Raises SolverInputError where both lengths and `valid` are given.
        """
        lengths = instances.entries.get("lengths")
        if lengths is None:
            return super().own_entries(costs, instances)
        if instances.valid is not None:
            raise SolverInputError(
                "Alignment: its program takes lengths or valid, and both are given; leave out "
                "valid, which the lengths imply."
            )
        ends = self._ends(lengths, costs.shape)
        down, right = (
            torch.arange(size, device="cpu") <= ends[:, axis : axis + 1]
            for axis, size in enumerate(costs.shape[1:3])
        )
        there = (down[:, :, None] & right[:, None, :])[..., None].expand(costs.shape)
        return None if bool(there.all()) else there.to(costs.device)

    def relaxation(self, shape: torch.Size) -> Program:
        """A flow y >= 0 of 1 from the first node to the last, whose vertices are the paths.

        Out of each node less into it is 1 at the first and 0 at the others; that of the last
        follows. Moves that leave the grid are 0.
        """
        self._check_shape(shape)
        rows, columns, _ = shape
        ends = torch.tensor([rows - 1, columns - 1], device="cpu")
        entries, tails, heads = moves_of(ends, rows, columns)
        ones, size = np.ones(len(entries)), (rows * columns, 3 * rows * columns)
        balance = scipy.sparse.csr_array((ones, (tails, entries)), shape=size)
        balance -= scipy.sparse.csr_array((ones, (heads, entries)), shape=size)
        most = np.zeros(size[1])
        most[entries] = np.inf
        supply = np.eye(1, size[0])[0, :-1]
        return checked_program([(balance[:-1], supply, supply)], (0.0, most), 1)

    def _ends(self, lengths: Lengths, shape: torch.Size) -> Tensor:
        longest = torch.Size((shape[0], shape[1] - 1, shape[2] - 1))
        return check_lengths(lengths, longest, 0, "Alignment")

    def _solve(self, costs: Tensor, lengths: Lengths = None) -> Tensor:
        ends = self._ends(lengths, costs.shape).numpy()
        array = to_native_array(costs)
        work = array.size / 3 * SECONDS_A_NODE
        solution, certain = on_threads(work, self.threads, align, align_parallel, array, ends)
        for index in np.flatnonzero(~certain):
            solution[index] = align_exactly(array[index], ends[index])
        return to_tensor(solution, like=costs)
