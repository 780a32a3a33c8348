"""The maps of one size in the files of the published layout, checked and left on the disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from combgrad.data.batches import StoredRows
from combgrad.data.files.npy import REMEDY, DataFileError, check_rows, load_array
from combgrad.data.splits import fingerprint
from combgrad.data.warcraft.tiles import PIXELS
from combgrad.metrics import cost_ratio
from combgrad.solvers import ShortestPath

#: What there is of each split, in files such as `train_maps.npy`.
MAPS, COSTS, PATHS = "maps", "vertex_weights", "shortest_paths"

#: A large file is published in two, such as `train_maps_part0.npy` and `train_maps_part1.npy`.
PARTS = ("_part0", "_part1")

#: Rows that are looked at together.
CHUNK = 500

#: Maps of a file whose pixels are looked at; costs and paths are looked at in all.
SAMPLE = 50

#: How much dearer than the cheapest path a path may be that is called so, and how much cheaper,
#: relative: more than what half floats round off, less than what paths of other maps would be.
SLACK = 0.01


@dataclass(frozen=True, eq=False)
class MapSplit:
    """N maps, each in one or several arrays one after another.

    Attributes:
        maps: (N, 8k, 8k, 3) uint8, RGB.
        costs: (N, k, k) of crossing each cell, above 0.
        paths: (N, k, k), 1 on the cells of a cheapest path, 0 elsewhere.
    """

    maps: list[np.ndarray]
    costs: list[np.ndarray]
    paths: list[np.ndarray]

    def __len__(self) -> int:
        return sum(map(len, self.maps))

    def columns(self, count: int) -> dict[str, StoredRows]:
        """The first `count` maps as the columns of a batch."""
        everything = {
            "maps": StoredRows(self.maps, np.uint8),
            "target": StoredRows(self.paths, np.float32),
            "true_costs": StoredRows(self.costs, np.float32),
        }
        return {name: column.first(count) for name, column in everything.items()}

    def states(self) -> list[tuple[str, int, int]]:
        """Name, size and time of each file of maps; none for maps in memory."""
        names = [array.filename for array in self.maps if isinstance(array, np.memmap)]
        files = [Path(name) for name in names if name is not None]
        return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]

    def fingerprint(self) -> str:
        """Of all costs and paths, and of the pixels of some maps."""
        parts: list[object] = []
        for array in (*self.costs, *self.paths):
            parts += [array.shape, array.dtype.str, array]
        for array in self.maps:
            parts += [array.shape, _some(array)]
        return fingerprint(*parts)


def split_file(folder: Path, split: str, what: str, part: str = "") -> Path:
    """Where MAPS, COSTS or PATHS of a split lie."""
    return folder / f"{split}_{what}{part}.npy"


def load_split(folder: Path, split: str, cells: int) -> MapSplit:
    """The maps of a split of `cells` x `cells`, memory-mapped; few of the pixels are looked at.

    Raises DataFileError, naming the file, for one that is missing, damaged, or of other maps.
    """
    side = PIXELS * cells
    maps = _open(folder, split, MAPS, (side, side, 3), "u")
    for path, array in maps.items():
        if array.dtype != np.uint8:
            raise DataFileError(f"{path}: expected uint8, found {array.dtype}. {REMEDY}")
        # Room that a cut download had reserved, and never filled, is full of zeros.
        if not (np.ptp(_some(array), axis=(1, 2)) > 0).all():
            raise DataFileError(f"{path}: holds maps without a picture. {REMEDY}")
    costs = _open(folder, split, COSTS, (cells, cells), "uif")
    paths = _open(folder, split, PATHS, (cells, cells), "buif")
    _check_counts(maps, costs, paths)
    for path, array in costs.items():
        _check(path, array, _are_positive, "holds a cost that is no positive number")
    for path, array in paths.items():
        _check(path, array, _are_binary, "holds values other than 0 and 1")
        _check(path, array, _hold_ends, "has a path without its first or last cell")
    _check_labels(costs, paths)
    return MapSplit(list(maps.values()), list(costs.values()), list(paths.values()))


def _some(array: np.ndarray) -> np.ndarray:
    """At most SAMPLE rows, from the first to the last."""
    return np.asarray(
        array[np.linspace(0, len(array) - 1, min(SAMPLE, len(array)), dtype=np.int64)]
    )


def _open(
    folder: Path, split: str, what: str, shape: tuple[int, ...], dtype_kind: str
) -> dict[Path, np.ndarray]:
    """The arrays (N_i, *shape) of one file, or of both of its parts, by path."""
    paths = [split_file(folder, split, what)]
    parts = [split_file(folder, split, what, part) for part in PARTS]
    if not paths[0].exists() and any(path.exists() for path in parts):
        paths = parts
    pattern = (None, *shape)
    return {
        path: load_array(path, shape=pattern, dtype_kind=dtype_kind, mmap=True) for path in paths
    }


def _check_counts(*files: dict[Path, np.ndarray]) -> None:
    counts = {sum(map(len, arrays.values())) for arrays in files}
    if len(counts) > 1:
        found = ", ".join(f"{len(a)} in {path}" for arrays in files for path, a in arrays.items())
        raise DataFileError(
            f"the files of a split hold different numbers of maps: {found}. {REMEDY}"
        )


def _check(
    path: Path, array: np.ndarray, test: Callable[[np.ndarray], np.ndarray], problem: str
) -> None:
    right = [test(array[start : start + CHUNK]) for start in range(0, len(array), CHUNK)]
    check_rows(path, array, np.concatenate([np.ones(0, dtype=bool), *right]), problem)


def _check_labels(costs: dict[Path, np.ndarray], paths: dict[Path, np.ndarray]) -> None:
    """Raise DataFileError where a path is none, or not the cheapest one over its costs."""
    prices = StoredRows(list(costs.values()), np.float32)
    marks = StoredRows(list(paths.values()), np.float32)
    chunks = torch.arange(len(marks)).split(CHUNK)
    right = [_are_cheapest(prices[rows], marks[rows]) for rows in chunks]
    every = np.concatenate([np.ones(0, dtype=bool), *right])
    start = 0
    for path, array in paths.items():
        here = every[start : start + len(array)]
        check_rows(path, array, here, "has a path that is not the cheapest one of its map")
        start += len(array)


def _are_cheapest(costs: Tensor, paths: Tensor) -> np.ndarray:
    solver = ShortestPath()
    ratio = cost_ratio(paths, solver(costs), costs)
    return np.asarray(solver.joined(paths) & ((ratio - 1).abs() <= SLACK))


def _are_positive(costs: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        single = costs.astype(np.float32)
    return np.asarray((np.isfinite(single) & (single > 0)).all((1, 2)))


def _are_binary(paths: np.ndarray) -> np.ndarray:
    return ((paths == 0) | (paths == 1)).all((1, 2))


def _hold_ends(paths: np.ndarray) -> np.ndarray:
    return (paths[:, 0, 0] == 1) & (paths[:, -1, -1] == 1)
