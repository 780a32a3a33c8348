"""The cheapest path across a grid with costs on its cells, exact, in compiled code."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.instances import EntryShape
from combgrad.solvers.arrays import integer_array, to_array, to_tensor
from combgrad.solvers.base import Solver, Trait
from combgrad.solvers.grid_fallback import exact_grid_path
from combgrad.solvers.kernels.grid_dijkstra import grid_paths, grid_paths_parallel
from combgrad.solvers.threads import checked_threads, on_threads

#: Expected work, for the choice of threads.
SECONDS_A_CELL = 3e-8

#: One (row, column), or one for each instance: (B, 2).
Cells = Sequence[int] | Tensor | np.ndarray | None


def refuse_negative(solver: Solver, costs: np.ndarray, remedy: str) -> None:
    """Raise SolverInputError, naming the batch index, where costs (B, *S) have an entry < 0."""
    if costs.size and costs.min() < 0:
        negative = (costs.reshape(len(costs), -1) < 0).any(axis=1)
        index = int(negative.argmax())
        raise SolverInputError(
            f"{solver.own_name}: costs of batch index {index} are negative (down to "
            f"{costs[index].min():.3g}; {int(negative.sum())} of {len(costs)} instances have such "
            f"costs), and then going round in circles may pay. {remedy}"
        )


class ShortestPath(Solver):
    """The cheapest path between two cells of a grid: y(w) = argmin <w, y> over paths y.

    Costs (B, H, W), at least 0, are those of the cells; solutions (B, H, W) are 1 on the cells of
    the path, both ends included. Paths make no detours: a cell has no neighbours among them but
    the one before and the one after it. A cost of +inf forbids a cell. Exact for all finite costs
    (Dijkstra 1959, with the bucket queue of Dial 1969): what sums in float64 leave in doubt is
    solved in integers of any size. Among equally cheap paths the choice is deterministic.

    Args:
        neighbours: 8, or 4 for paths without diagonal steps.
        negative: "error" refuses negative costs; "clamp" solves for max(w, 0) (A-36), which the
            costs of a perturbation or of noise need.
        start, end: (row, column) of the ends; top left and bottom right where None. A call may
            override them: a pair for all instances, or one for each, (B, 2).
        threads: how many to use; None decides by the work.

    Raises ValueError for other options, SolverInputError for negative costs or cells off the grid,
    InfeasibleError, naming the batch index, where the forbidden cells leave no path.
    """

    traits = frozenset({Trait.SCALE_INVARIANT})
    unrelaxed = (
        "its costs are those of cells, and a flow has an entry for each step between two; use "
        "GraphShortestPath(edges, ..., directed=True)"
    )
    per_row: Mapping[str, EntryShape] = {"start": (2,), "end": (2,)}
    forbids = True

    def __init__(
        self,
        neighbours: int = 8,
        negative: str = "error",
        start: Sequence[int] | None = None,
        end: Sequence[int] | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        if neighbours not in (4, 8):
            raise ValueError(f"neighbours is {neighbours!r}; a cell of a grid has 4 or 8.")
        if negative not in ("error", "clamp"):
            raise ValueError(f"negative is {negative!r}; choose 'error' or 'clamp'.")
        self.neighbours, self.negative = neighbours, negative
        self.threads = checked_threads(threads)
        self.start, self.end = _checked_pair("start", start), _checked_pair("end", end)

    def _check_shape(self, shape: torch.Size) -> None:
        if len(shape) != 2 or 0 in shape:
            raise SolverInputError(
                f"ShortestPath: costs have instance shape {tuple(shape)}; pass the costs of the "
                f"cells of each grid as (B, H, W) with H and W at least 1."
            )

    def _solve(self, costs: Tensor, start: Cells = None, end: Cells = None) -> Tensor:
        array = to_array(costs)
        if self.negative == "clamp":
            array = np.maximum(array, 0.0)
        else:
            refuse_negative(
                self, array, "Use ShortestPath(negative='clamp') or make the costs positive."
            )
        starts, ends = self._ends(array.shape, start, end)
        work = array.size * SECONDS_A_CELL
        given = (array, starts, ends, self.neighbours)
        solution, certain = on_threads(work, self.threads, grid_paths, grid_paths_parallel, *given)
        for index in np.flatnonzero(~certain):
            path = exact_grid_path(array[index], starts[index], ends[index], self.neighbours)
            if path is None:
                raise InfeasibleError(
                    f"ShortestPath: the cells of cost inf leave no path between the ends in batch "
                    f"index {index}; forbid fewer cells, and neither end."
                )
            solution[index] = path
        return to_tensor(solution, like=costs)

    def feasible(self, solution: Tensor, start: Cells = None, end: Cells = None) -> Tensor:
        """Whether the cells marked 1 are one path between the ends without detours, (B,)."""
        if len(solution) == 0:
            return torch.zeros(0, dtype=torch.bool, device=solution.device)
        marks = torch.from_numpy(to_array(solution))
        starts, ends = (torch.from_numpy(cells) for cells in self._ends(marks.shape, start, end))
        binary = ((marks == 0) | (marks == 1)).flatten(1).all(dim=1)
        path = (marks == 1).double()
        rows = torch.arange(len(path), device="cpu")
        # Two neighbours a cell and one an end: a path, and perhaps rings, which it does not reach.
        missing = torch.full_like(path, 2.0)
        for cells in (starts, ends):
            missing[rows, cells[:, 0], cells[:, 1]] -= 1.0
        fits = ((self._count(path) == missing) | (path == 0)).flatten(1).all(dim=1)
        reached = torch.zeros_like(path)
        reached[rows, starts[:, 0], starts[:, 1]] = path[rows, starts[:, 0], starts[:, 1]]
        while not torch.equal(wider := self._spread(reached) * path, reached):
            reached = wider
        whole = (reached == path).flatten(1).all(dim=1) & (reached.flatten(1) > 0).any(dim=1)
        arrives = path[rows, ends[:, 0], ends[:, 1]] == 1
        return (binary & fits & whole & arrives).to(solution.device)

    def _count(self, marks: Tensor) -> Tensor:
        """How many neighbours of each cell are marked, (B, H, W)."""
        weights = torch.ones((1, 1, 3, 3), dtype=marks.dtype, device=marks.device)
        weights[0, 0, 1, 1] = 0.0
        if self.neighbours == 4:
            weights[0, 0, ::2, ::2] = 0.0
        return conv2d(marks.unsqueeze(1), weights, padding=1).squeeze(1)

    def joined(self, marks: Tensor, start: Cells = None, end: Cells = None) -> Tensor:
        """Whether among the cells marked 1, and not 0, there is a path between the ends, (B,)."""
        missing = 1 - marks.detach()
        way = self(missing, start=start, end=end)
        return (way * missing).flatten(1).sum(dim=1) == 0

    def optimum(self, costs: Tensor, start: Cells = None, end: Cells = None) -> Tensor:
        """The cost of the cheapest path by Bellman-Ford sweeps over the whole grid, (B,)."""
        cells = costs.detach().double().cpu().clamp_min(0.0)
        starts, ends = self._ends(cells.shape, start, end)
        rows = torch.arange(len(cells), device="cpu")
        labels = torch.full_like(cells, torch.inf)
        labels[rows, starts[:, 0], starts[:, 1]] = cells[rows, starts[:, 0], starts[:, 1]]
        while not torch.equal(
            lower := torch.minimum(labels, cells - self._spread(-labels)), labels
        ):
            labels = lower
        return labels[rows, ends[:, 0], ends[:, 1]].to(costs.device)

    def _spread(self, values: Tensor) -> Tensor:
        """The largest of each cell's and its neighbours' values, (B, H, W)."""
        if self.neighbours == 8:
            return max_pool2d(values, 3, stride=1, padding=1)
        down = max_pool2d(values, (3, 1), stride=1, padding=(1, 0))
        return torch.maximum(down, max_pool2d(values, (1, 3), stride=1, padding=(0, 1)))

    def _ends(
        self, shape: Sequence[int], start: Cells, end: Cells
    ) -> tuple[np.ndarray, np.ndarray]:
        """The ends of every path, two int64 arrays (B, 2)."""
        start = start if start is not None else self.start if self.start is not None else (0, 0)
        corner = (shape[1] - 1, shape[2] - 1)
        end = end if end is not None else self.end if self.end is not None else corner
        return _checked_cells("start", start, shape), _checked_cells("end", end, shape)


def _checked_pair(name: str, cell: Sequence[int] | None) -> tuple[int, ...] | None:
    """One cell (row, column) for all instances; ValueError for what is none."""
    if cell is None:
        return None
    pair = integer_array(name, cell, "one pair (row, column)")
    if pair.shape != (2,):
        raise ValueError(f"{name} has shape {pair.shape}; pass one pair (row, column).")
    return tuple(pair.tolist())


def _checked_cells(
    name: str, chosen: Sequence[int] | Tensor | np.ndarray, shape: Sequence[int]
) -> np.ndarray:
    """One cell an instance, int64 (B, 2), for grids of shape (B, H, W); one pair is that of all."""
    wanted = f"one pair (row, column), or one for each instance, ({shape[0]}, 2)"
    try:
        cells = integer_array(name, chosen, wanted)
    except ValueError as error:
        raise SolverInputError(f"ShortestPath: {error}") from error
    if cells.shape not in ((2,), (shape[0], 2)):
        raise SolverInputError(f"ShortestPath: {name} has shape {cells.shape}; pass {wanted}.")
    outside = ((cells < 0) | (cells >= np.array(shape[1:]))).reshape(-1, 2).any(axis=1)
    if outside.any():
        index = int(outside.argmax())
        raise SolverInputError(
            f"ShortestPath: {name} of batch index {index} is the cell "
            f"{tuple(cells.reshape(-1, 2)[index].tolist())}, which is not on the grid of "
            f"{shape[1]} x {shape[2]} cells; rows and columns count from 0."
        )
    return np.array(np.broadcast_to(cells, (shape[0], 2)), dtype=np.int64, order="C")
