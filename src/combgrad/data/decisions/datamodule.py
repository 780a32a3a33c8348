"""Instances of a decision problem, as a LightningDataModule."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.data.base import Block, Place, cached
from combgrad.data.datamodule import TensorDataModule, user_path
from combgrad.data.decisions.problems import DecisionSet, checked_set
from combgrad.data.splits import SPLITS
from combgrad.errors import SolverFailedError, SolverInputError

#: Part of the cache's key; raise it when the same instances are put into other columns.
VERSION = 1

#: Instances that are solved at a time.
SOLVED_AT_ONCE = 500

#: What every batch has, in this order and before all else.
COLUMNS = ("features", "true_costs", "target")


class Decisions(TensorDataModule):
    """Instances with features, true costs, and the solutions that these have.

    A batch has `features` (B, *F) float32, `true_costs` (B, *S) float32, `target` (B, *S) float32,
    the solution by the exact solver of the set, in this order, and, where the set has them, further
    entries that describe the instances to the solver.

    Args:
        collection: the set of instances.
        train_size, eval_size: instances for training, and each for validation and test; at most
            what there is, where the set has no more.
        batch_size: instances of a training step, over all processes.
        order_seed: of the training order.
        path: the folder that holds the set's files, where it has any.
        cache: folder for instances and solutions, or None to have them in memory.
        workers: processes that put batches together, beside the one that trains.

    Raises ValueError for a setting that cannot be; `setup` and `data_fingerprint` raise
    DataFileError where files are not right, `setup` ValueError where the set has instances of
    another shape than it says, and SolverInputError or SolverFailedError, naming the split and the
    rows, for an instance without a solution.
    """

    def __init__(
        self,
        collection: DecisionSet,
        train_size: int = 100,
        eval_size: int = 1_000,
        batch_size: int = 32,
        order_seed: int = 0,
        path: str | None = None,
        cache: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed, workers)
        checked_set(collection)
        self.files = Place(user_path(path), None, user_path(cache, "cache"), collection.free)
        if collection.source == "original":
            self.files.check_given(collection, "decisions-data")
        self.collection, self.source = collection, collection.source
        self._columns: dict[str, dict[str, Tensor]] = {}

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever the data of a run could, but for those drawn anew for every seed."""
        return self.collection.fingerprint(self.files)

    def setup(self, stage: str | None = None) -> None:
        """Make and solve all splits once."""
        del stage
        if not self._columns:
            self._columns = {split: self._solved(split) for split in SPLITS}

    def columns(self, split: str) -> dict[str, Tensor]:
        """The instances of a split."""
        self.setup()
        return self._columns[split]

    def _sizes(self) -> dict[str, int]:
        """Instances of each split: what is asked for, or what there is."""
        sizes = {split: self._size(split) for split in SPLITS}
        there = self.collection.available(self.files)
        if there is None:
            return sizes
        for split in SPLITS:
            if there[split] < 1:
                raise ValueError(
                    f"{type(self.collection).__name__}: has no instances for the {split} split; "
                    f"each of {', '.join(SPLITS)} needs one at least."
                )
        return {n: min(sizes[n], there[n]) for n in sizes}

    def _solved(self, split: str) -> dict[str, Tensor]:
        sizes = self._sizes()
        solver = self.collection.solver()
        key = [VERSION, self.data_fingerprint, self.collection, repr(solver), sizes, split]
        name = f"decisions-{type(self.collection).__name__.lower()}-{split}"
        arrays = cached(self.files.cache, name, key, lambda: self._blocks(split, sizes))
        # In one order: who unpacks a batch's values must not depend on where the rows come from.
        names = [*COLUMNS, *sorted(arrays.keys() - {*COLUMNS})]
        return {name: torch.tensor(arrays[name]) for name in names}

    def _blocks(self, split: str, sizes: Mapping[str, int]) -> Iterator[Block]:
        """Checked columns, a few rows at a time, with their solutions."""
        columns = self.collection.rows(self.files, split, sizes)
        check_rows(self.collection, columns, split, sizes[split])
        solver = self.collection.solver()
        for start in range(0, sizes[split], SOLVED_AT_ONCE):
            part = {n: column[start : start + SOLVED_AT_ONCE] for n, column in columns.items()}
            part |= {n: part[n].astype(np.float32) for n in ("features", "true_costs")}
            costs = torch.from_numpy(part["true_costs"].astype(np.float64))
            others = part.keys() - {"features", "true_costs"}
            named: dict[str, Any] = {n: torch.tensor(part[n]) for n in sorted(others)}
            try:
                target = solver(costs, **named)
            except (SolverInputError, SolverFailedError) as error:
                raise type(error)(
                    f"{type(self.collection).__name__}, {split} rows from {start} on: {error}"
                ) from error
            yield {**part, "target": target.numpy().astype(np.float32)}


def check_rows(
    collection: DecisionSet, columns: Mapping[str, np.ndarray], split: str, count: int
) -> None:
    """ValueError unless a set's rows have the shapes that it says, and finite numbers."""
    name = type(collection).__name__
    shapes = {"features": collection.feature_shape, "true_costs": collection.cost_shape}
    for column, shape in shapes.items():
        found = columns[column].shape if column in columns else None
        if found != (count, *shape):
            raise ValueError(
                f"{name}: {column} of the {split} split have shape {found}; they must have "
                f"{(count, *shape)}, one entry for each instance, as the set says of itself."
            )
        with np.errstate(over="ignore"):
            single = columns[column].astype(np.float32)
        bad = ~np.isfinite(single.reshape(count, -1)).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{name}: {column} of row {int(bad.argmax())} of the {split} split are not finite, "
                f"or beyond single precision (3.4e38)."
            )
