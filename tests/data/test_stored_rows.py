"""Columns whose rows stay on the disk until a batch asks for them."""

import time

import numpy as np
import pytest
import torch

from combgrad.data.batch_plans import Shuffled
from combgrad.data.batches import StoredRows, Table, loader

VALUES = np.arange(30, dtype=np.float64).reshape(10, 3)
PARTS = (VALUES[:4], VALUES[4:4], VALUES[4:9], VALUES[9:])


def test_rows_of_several_arrays_are_those_of_the_whole():
    column = StoredRows(PARTS, np.float32)
    assert len(column) == 10
    for rows in ([9, 0, 4, 3, 8, 4], [5], []):
        found = column[torch.tensor(rows, dtype=torch.int64)]
        assert found.dtype == torch.float32
        assert torch.equal(found, torch.tensor(VALUES[rows], dtype=torch.float32))


@pytest.mark.parametrize("count", [0, 3, 4, 6, 10, 12])
def test_the_first_rows_are_a_column_of_their_own(count):
    column = StoredRows(PARTS, np.uint8).first(count)
    assert len(column) == min(count, 10)
    found = column[torch.arange(len(column))]
    assert torch.equal(found, torch.tensor(VALUES[:count], dtype=torch.uint8))


@pytest.mark.parametrize("row", [-1, 6, 7])
def test_rows_that_do_not_exist_are_refused(row):
    column = StoredRows(PARTS, np.uint8).first(6)
    with pytest.raises(IndexError, match="of 6"):
        column[torch.tensor([0, row])]


def test_what_comes_out_is_a_copy(tmp_path):
    np.save(tmp_path / "rows.npy", VALUES)
    stored = np.load(tmp_path / "rows.npy", mmap_mode="r")
    found = StoredRows([stored], np.float64)[torch.tensor([1])]
    found += 1
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), VALUES)


def test_only_the_rows_asked_for_are_read(tmp_path):
    # A file with holes, larger than any memory: to read all of it would take minutes, or the
    # machine down.
    shape = (2_000_000, 240, 240, 3)
    with (tmp_path / "large.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        row = int(np.prod(shape[1:]))
        for number in (7, 1_999_999):
            file.seek(start + number * row)
            file.write(bytes([number % 256]) * row)
    column = StoredRows([np.load(tmp_path / "large.npy", mmap_mode="r")], np.uint8)
    started = time.monotonic()
    found = column[torch.tensor([1_999_999, 7, 1_000_000])]
    assert time.monotonic() - started < 5
    assert found.shape == (3, 240, 240, 3)
    assert [set(part.unique().tolist()) for part in found] == [{1_999_999 % 256}, {7}, {0}]


def test_batches_take_stored_rows_like_tensors():
    stored, plain = StoredRows(PARTS, np.float32), torch.tensor(VALUES, dtype=torch.float32)
    table = Table({"stored": stored, "plain": plain})
    found = loader(table, Shuffled(len(table), 4, seed=3), even=True)
    seen = list(found)
    assert [len(batch["plain"]) for batch in seen] == [4, 4, 2]
    assert all(torch.equal(batch["stored"], batch["plain"]) for batch in seen)
    assert not torch.equal(torch.cat([batch["plain"] for batch in seen]), plain)
    with pytest.raises(ValueError, match="differ in length"):
        Table({"stored": stored.first(9), "plain": plain})
