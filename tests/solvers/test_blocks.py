"""Node and edge costs are one vector: packed, taken apart, masked, and spoken of by block."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad import CombinatorialLayer
from combgrad.errors import SolverInputError
from combgrad.gradients import Identity
from combgrad.instances import Instances
from combgrad.labels import Labels
from combgrad.losses import BilinearHamming, Hamming, ScoreFunction
from combgrad.margins import InformedMargin
from combgrad.projections import Norm
from combgrad.solvers import Assignment, Solver, Trait
from combgrad.solvers.blocks import Blocks

shapes = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=4)


@given(shapes=shapes, batch=st.integers(0, 3))
def test_what_was_packed_is_unpacked(shapes, batch):
    blocks = Blocks(*shapes)
    parts = [torch.randn(batch, *shape) for shape in shapes]
    vector = blocks.pack(*parts)
    assert vector.shape == (batch, blocks.size)
    for part, again in zip(parts, blocks.unpack(vector), strict=True):
        assert torch.equal(part, again)
    for number, part in enumerate(parts):
        mine = [torch.full_like(p, number == n) for n, p in enumerate(parts)]
        assert torch.equal(blocks.marked(number).expand(vector.shape), blocks.pack(*mine).bool())
        assert int(blocks.marked(number).sum()) * batch == part.numel()


def test_the_order_is_block_by_block_and_row_by_row():
    nodes, edges = torch.arange(4.0).view(1, 2, 2), torch.arange(4.0, 10.0).view(1, 2, 3)
    assert Blocks((2, 2), (2, 3)).pack(nodes, edges).tolist() == [[*range(10)]]


def test_several_blocks_can_be_marked_and_none():
    blocks = Blocks((2,), (1, 2), (3,))
    assert blocks.marked(0, 2).tolist() == [True, True, False, False, True, True, True]
    assert not bool(blocks.marked().any())


@pytest.mark.parametrize(
    "parts", [[(2, 2, 2)], [(2, 2, 2), (2, 3, 2)], [(2, 2, 2), (1, 2, 3)], [(2, 2), (2, 2, 3)]]
)
def test_other_shapes_are_refused(parts):
    with pytest.raises(SolverInputError, match=r"pass \(B, 2, 2\) and \(B, 2, 3\), of one batch"):
        Blocks((2, 2), (2, 3)).pack(*(torch.zeros(shape) for shape in parts))
    for wrong in (torch.zeros(2, 9), torch.zeros(10), torch.zeros(2, 2, 10)):
        with pytest.raises(SolverInputError, match=r"take \(B, 10\)"):
            Blocks((2, 2), (2, 3)).unpack(wrong)


BLOCKS = Blocks((2, 2), (3,))


class MatchingAndSigns(Solver):
    """A matching by the first block, and 1 for every negative cost of the second one."""

    traits = frozenset({Trait.SCALE_INVARIANT})
    padding = "read"

    def _solve(self, costs, valid=None):
        nodes, others = BLOCKS.unpack(costs)
        return BLOCKS.pack(Assignment()(nodes), (others < 0).to(costs))


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_projection_is_joint_over_the_blocks_and_padding_of_one_is_no_part_of_it():
    nodes, others = random(2, 2, 2), random(2, 3, seed=1)
    there = torch.tensor([[True, True, False], [True, True, True]])
    valid = BLOCKS.pack(torch.ones(2, 2, 2, dtype=torch.bool), there)
    layer = CombinatorialLayer(MatchingAndSigns(), Identity(), Norm())
    prepared = layer.prepare(BLOCKS.pack(nodes, others), instances=Instances(valid=valid))
    length = (nodes.square().sum((1, 2)) + (others.square() * there).sum(1)).sqrt()
    torch.testing.assert_close(BLOCKS.unpack(prepared)[0], nodes / length[:, None, None])
    solution = layer(BLOCKS.pack(nodes, others), valid=valid)
    assert solution[0, -1] == 0
    assert torch.equal(BLOCKS.unpack(solution)[0], Assignment()(nodes))


@pytest.mark.parametrize("shape", ["of all", "of each"])
def test_loss_and_margin_speak_of_the_marked_entries_alone(shape):
    costs, target = random(3, 7).requires_grad_(), MatchingAndSigns()(random(3, 7, seed=1))
    marked = BLOCKS.marked(0)
    marked = marked if shape == "of all" else marked.expand(3, 7)
    labels, layer = (
        Labels(target, marked=marked),
        CombinatorialLayer(MatchingAndSigns(), Identity()),
    )
    solution, (own, _) = layer(costs), BLOCKS.unpack(target)
    for loss in (Hamming(), BilinearHamming()):
        value = loss(layer, costs, labels).loss
        (gradient,) = torch.autograd.grad(value, costs)
        block = BLOCKS.unpack(solution.detach())[0].requires_grad_()
        expected = loss.of_each(block, own).mean()
        (slope,) = torch.autograd.grad(expected, block)
        torch.testing.assert_close(value.detach(), expected.detach())
        torch.testing.assert_close(gradient, BLOCKS.pack(-slope, torch.zeros(3, 3).double()))
    score = ScoreFunction(Hamming(), 0.1, 2)
    torch.testing.assert_close(
        score.eval()(layer, costs, labels).loss, Hamming()(layer, costs, labels).loss
    )
    assert bool(torch.isfinite(score.train()(layer, costs, labels).loss))
    margin = CombinatorialLayer(MatchingAndSigns(), Identity(), None, InformedMargin(0.4))
    prepared = margin.prepare(costs, labels)
    offset = BLOCKS.pack(0.4 * (own - 0.5), torch.zeros(3, 3).double())
    torch.testing.assert_close(prepared, costs + offset)
    noisy = CombinatorialLayer(MatchingAndSigns(), Identity(), None, InformedMargin(30.0))
    answer = noisy(costs, target, marked=marked)
    assert torch.equal(BLOCKS.unpack(answer)[1], BLOCKS.unpack(solution)[1])
    assert torch.equal(BLOCKS.unpack(answer)[0], 1 - own)


def test_labels_are_repeated_with_their_marks():
    labels = Labels(random(2, 3), None, torch.tensor([True, False, True]))
    many = labels.repeat(2)
    assert many.marked.tolist() == [[True, False, True]] * 4
    assert torch.equal(many.target, torch.cat([labels.target] * 2))
    each = Labels(None, random(2, 3), torch.tensor([[True, False, True], [False] * 3])).repeat(2)
    assert each.marked.tolist() == [[True, False, True], [False] * 3] * 2
    apart = labels._replace(perturbed=torch.tensor([False, True, True]))
    assert labels.of_margin is labels.marked
    assert apart.repeat(2).of_margin.tolist() == [[False, True, True]] * 4


@pytest.mark.parametrize("marked", [torch.ones(7), torch.ones(6).bool(), torch.ones(1, 7).bool()])
def test_marks_of_another_shape_are_refused(marked):
    layer = CombinatorialLayer(MatchingAndSigns(), Identity())
    with pytest.raises(ValueError, match=r"marked has shape .*\(3, 7\) or \(7,\)"):
        Hamming()(layer, random(3, 7), Labels(torch.zeros(3, 7), marked=marked))
