"""What other packages are given to solve is the problem of ours."""

import itertools

import numpy as np
import torch

from benchmarks.peers import flow
from combgrad.solvers import Alignment
from combgrad.solvers.alignment import move_mask


def test_the_flow_of_an_alignment_is_a_path_through_its_grid():
    moves, balance, surplus = flow(3, 4)
    exists = move_mask(torch.tensor([[2, 3]]), 3, 4)[0].flatten().nonzero()[:, 0]
    assert moves.tolist() == exists.tolist()
    costs = torch.randn(40, 3, 4, 3, generator=torch.Generator().manual_seed(0))
    for path in Alignment()(costs).flatten(1)[:, moves].numpy():
        assert np.array_equal(balance @ path, surplus)


def test_every_whole_flow_is_a_path():
    moves, balance, surplus = flow(2, 3)
    flows = [u for u in itertools.product((0, 1), repeat=len(moves))
             if np.array_equal(balance @ np.array(u), surplus)]  # fmt: skip
    # The Delannoy number D(1, 2).
    assert len(flows) == 5
