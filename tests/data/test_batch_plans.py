"""Which rows a batch has: the order of committed records, shares of processes, balanced classes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.data.batch_plans import (
    Bags,
    BatchPlan,
    ClassBalanced,
    Fresh,
    InOrder,
    PlanSampler,
    Shuffled,
    seeded,
)
from combgrad.data.batches import StoredRows, Table, loader
from combgrad.data.datamodule import TensorDataModule

ROWS = st.integers(1, 60)
WORLDS = st.integers(1, 4)


def shares(plan, world, *, even, epoch=0):
    found = []
    for rank in range(world):
        sampler = PlanSampler(plan, rank=rank, world=world, even=even)
        sampler.set_epoch(epoch)
        batches = [batch.tolist() for batch in sampler]
        assert len(batches) == len(sampler)
        assert all(batches)
        found.append(batches)
    return found


@given(ROWS, st.integers(1, 7), WORLDS, st.integers(0, 5), st.integers(0, 3))
def test_shuffled_shares_are_those_that_committed_records_were_trained_on(
    rows, each, world, seed, epoch
):
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(rows, generator=generator)
    found = shares(Shuffled(rows, each * world, seed), world, even=True, epoch=epoch)
    for rank, batches in enumerate(found):
        mine = order[rank::world][: rows // world]
        assert batches == [part.tolist() for part in mine.split(each) if len(part)]


@given(ROWS, st.integers(1, 7), WORLDS)
def test_an_evaluation_sees_every_row_once_in_order(rows, each, world):
    found = shares(InOrder(rows, each * world), world, even=False)
    for rank, batches in enumerate(found):
        mine = list(range(rows))[rank::world]
        assert batches == [mine[start : start + each] for start in range(0, len(mine), each)]


def test_each_pass_over_a_loader_is_the_next_epoch():
    plan = Shuffled(10, 4, 7)
    epochs = [[batch.tolist() for batch in plan.batches(epoch)] for epoch in range(6)]
    assert epochs[0] != epochs[1]
    batches = loader(Table({"row": torch.arange(10)}), plan, even=True)

    def passed():
        return [batch["row"].tolist() for batch in batches]

    assert [passed(), passed(), passed()] == epochs[:3]
    batches.sampler.set_epoch(4)
    assert [passed(), passed()] == epochs[4:]


def test_fresh_numbers_never_come_twice():
    plan = Fresh(10, 4)
    epochs = [[batch.tolist() for batch in plan.batches(epoch)] for epoch in range(3)]
    assert epochs[1] == [[10, 11, 12, 13], [14, 15, 16, 17], [18, 19]]
    assert [n for epoch in epochs for batch in epoch for n in batch] == list(range(30))


def balanced(plan, labels, epoch=0):
    for batch in plan.batches(epoch):
        groups = labels[batch].view(plan.classes, plan.samples)
        assert bool((groups == groups[:, :1]).all())
        assert len(groups[:, 0].unique()) == plan.classes
        assert len(batch.unique()) == len(batch)
        yield batch


@given(
    st.lists(st.integers(2, 9), min_size=1, max_size=6),
    st.integers(1, 6),
    st.integers(1, 2),
    st.integers(0, 5),
)
def test_every_batch_has_so_many_rows_of_so_many_classes(sizes, classes, samples, seed):
    classes = min(classes, len(sizes))
    labels = torch.repeat_interleave(10 * torch.arange(len(sizes)) - 5, torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=seeded(seed, 9))]
    plan = ClassBalanced(labels, classes, samples, seed)
    batches = list(balanced(plan, labels))
    assert list(map(len, batches)) == plan.sizes
    assert len(batches) == sum(sizes) // (classes * samples) >= 1
    again = ClassBalanced(labels, classes, samples, seed)
    assert all(map(torch.equal, batches, again.batches(0)))


def test_classes_and_rows_come_equally_often_and_epochs_differ():
    labels = torch.arange(6).repeat(7)  # 7 rows of each of 6 classes
    plan = ClassBalanced(labels, 2, 3, seed=1)
    drawn = torch.cat([batch for epoch in range(300) for batch in balanced(plan, labels, epoch)])
    counts = torch.bincount(drawn, minlength=len(labels)).double()
    assert len(drawn) == 300 * 7 * 6
    # 300 expected; the deviation of a class is below 20, that of a row below 17.
    per_class = torch.bincount(labels[drawn]).double() / 7
    assert float((per_class - 300).abs().max()) < 30
    assert float((counts - 300).abs().max()) < 80
    first, second = (torch.cat(list(plan.batches(epoch))) for epoch in (0, 1))
    assert not torch.equal(first, second)


def test_a_class_gives_all_rows_before_it_gives_one_again():
    labels = torch.zeros(9, dtype=torch.int64)
    plan = ClassBalanced(labels, 1, 3, seed=0)
    assert sorted(torch.cat(list(plan.batches(4))).tolist()) == list(range(9))


@pytest.mark.parametrize(
    ("classes", "samples", "said"),
    [
        (3, 1, "3 classes, and there are 2"),
        (0, 1, "0 classes"),
        (2, 3, "3 rows of a class, and class 7 has 2"),
        (2, 0, "0 rows of a class"),
    ],
)
def test_batches_that_cannot_be_balanced_are_refused(classes, samples, said):
    with pytest.raises(ValueError, match=said):
        ClassBalanced(torch.tensor([5, 5, 5, 7, 7]), classes, samples, seed=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_no_batch(workers):
    stored = StoredRows([torch.arange(40).view(20, 2).numpy()], "float32")
    table = Table({"x": stored})
    found = loader(table, Shuffled(20, 6, seed=3), even=True, workers=workers)
    state = torch.random.get_rng_state()
    for epoch in (0, 1):
        found.sampler.set_epoch(epoch)
        order = torch.randperm(20, generator=seeded(3, epoch))
        batches = [batch["x"].tolist() for batch in found]
        assert batches == [[[2.0 * i, 2.0 * i + 1] for i in part] for part in order.split(6)]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("column", [np.arange(3.0), [1.0, 2.0, 3.0]])
def test_a_column_that_is_no_tensor_is_refused_by_name(column):
    with pytest.raises(TypeError, match="column 'prices' of the data is of type"):
        Table({"row": torch.arange(3), "prices": column})


class Reversed(BatchPlan):
    """The rows from the last to the first."""

    def __init__(self, rows):
        self.rows, self.sizes = rows, [rows]

    def batches(self, epoch):
        yield torch.arange(self.rows).flip(0) + 0 * epoch


class Own(TensorDataModule):
    """A data set with a plan of its own."""

    source, data_fingerprint = "regenerated", "own"

    def columns(self, split):
        return {"x": torch.arange(5)}

    def train_plan(self, rows):
        return Reversed(rows)


def test_a_data_module_may_have_a_plan_of_its_own():
    data = Own(train_size=5, eval_size=5, batch_size=2, order_seed=0)
    assert [batch["x"].tolist() for batch in data.train_dataloader()] == [[4, 3, 2, 1, 0]]
    assert [batch["x"].tolist() for batch in data.val_dataloader()] == [[0, 1, 2, 3, 4]]


@given(
    st.lists(st.integers(0, 11), min_size=24, max_size=60),
    st.integers(1, 6),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_bags_have_enough_different_labels_and_no_row_twice(labels, size, bags, seed):
    # Twelve more rows make sure that there are bags to be had.
    labels = torch.tensor([*labels, *range(12)])
    plan = Bags(labels, size, bags, seed)
    found = list(plan.batches(2))
    assert [len(batch) for batch in found] == plan.sizes
    everything = torch.cat(found)
    assert everything.shape == (len(labels) // size, size)
    for bag in everything.tolist():
        assert len(set(bag)) == size
        assert 4 * len({int(labels[row]) for row in bag}) >= 3 * size
    again = torch.cat(list(Bags(labels, size, bags, seed).batches(2)))
    assert torch.equal(everything, again)


def test_bags_are_drawn_anew_in_every_epoch_and_use_every_row_once_where_none_is_dropped():
    plan = Bags(torch.arange(40), 4, 3, seed=0)
    first, second = (torch.cat(list(plan.batches(epoch))) for epoch in (0, 1))
    assert sorted(first.flatten().tolist()) == sorted(second.flatten().tolist()) == list(range(40))
    assert not torch.equal(first, second)


def test_bags_that_cannot_be_are_refused():
    labels = torch.arange(30) % 5
    with pytest.raises(ValueError, match=r"8 rows of 6 different .* 30 rows of 5 classes"):
        Bags(labels, 8, 1, seed=0)
    with pytest.raises(ValueError, match="choose smaller bags"):
        Bags(labels, 31, 1, seed=0, distinct=0)
    rare = torch.tensor([0] * 5000 + [1, 2, 3])
    with pytest.raises(ValueError, match="hardly any bag of 4 rows has 4 different"):
        list(Bags(rare, 4, 1, seed=0, distinct=1.0).batches(0))


@given(st.integers(1, 3), st.integers(1, 4))
def test_processes_share_whole_bags(world, each):
    plan = Bags(torch.arange(60) % 20, 3, each * world, seed=0)
    found = shares(plan, world, even=True)
    whole = torch.cat(list(plan.batches(0))).tolist()
    assert all(bag in whole for batches in found for batch in batches for bag in batch)
