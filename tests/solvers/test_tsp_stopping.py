"""A search for a tour ends by Ctrl-C or its time limit; cutting it into slices changes nothing."""

import signal
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch

from combgrad.errors import TimeLimitError
from combgrad.solvers import TSP, tour_search
from combgrad.solvers.edges import edge_count, edge_ends
from combgrad.solvers.tour_search import tours_by_branching, tours_by_programming


def tetrahedron(on_each_edge: int) -> np.ndarray:
    """Distances (E,) of cities along the edges of a tetrahedron: hours of search from 52 on."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=np.float64)
    steps = np.linspace(0, 1, on_each_edge + 2)[1:-1, None]
    between = [a + steps * (b - a) for a, b in combinations(corners, 2)]
    cities = np.concatenate([corners, *between])
    first, second = edge_ends(len(cities))
    return np.linalg.norm(cities[first] - cities[second], axis=1)


HARD = tetrahedron(8)

ENDLESS = """
import sys
import numpy as np
import torch
from combgrad.solvers import TSP

costs = torch.from_numpy(np.load(sys.argv[1]))
TSP(threads=int(sys.argv[2]))(torch.rand(2, 66))
print("solving", flush=True)
TSP(threads=int(sys.argv[2]))(costs)
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_the_time_limit_names_the_instance(threads):
    easy = torch.rand(1, len(HARD), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    costs = torch.cat([easy, easy, torch.from_numpy(HARD).unsqueeze(0)])
    with pytest.raises(
        TimeLimitError, match=r"batch index 2 was not solved within time_limit=0\.2"
    ):
        TSP(threads=threads, time_limit=0.2)(costs)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cities", [7, 14])
def test_a_time_limit_that_suffices_changes_nothing(threads, cities):
    costs = torch.randn(20, edge_count(cities), generator=torch.Generator().manual_seed(0))
    assert torch.equal(TSP(threads=threads, time_limit=600.0)(costs), TSP(threads=1)(costs))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), "5"])
def test_a_time_limit_is_positive(limit):
    with pytest.raises(ValueError, match="positive number of seconds"):
        TSP(time_limit=limit)


@pytest.mark.parametrize("operations", [1, 10**5, 10**6])
def test_slices_change_nothing(monkeypatch, operations):
    rng = np.random.default_rng(0)
    many, few = rng.normal(size=(30, edge_count(14))), rng.normal(size=(30, edge_count(6)))
    expected = tours_by_branching(many, 14), tours_by_programming(few, 6)
    monkeypatch.setattr(tour_search, "_SLICE", operations)
    np.testing.assert_array_equal(tours_by_branching(many, 14), expected[0])
    np.testing.assert_array_equal(tours_by_programming(few, 6), expected[1])


def test_an_interrupt_ends_all_threads(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tour_search, "_wait", interrupt)
    costs = np.stack([HARD] * 16)
    with pytest.raises(KeyboardInterrupt):
        tours_by_branching(costs, 52, threads=2)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_solve(tmp_path, threads):
    np.save(tmp_path / "costs.npy", np.stack([HARD] * 2))
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "costs.npy"), str(threads)]
    # A process started in the background may have inherited that SIGINT is ignored.
    unblock = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    command[2] = unblock + command[2]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "solving\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=100)
    finally:
        process.kill()
        process.wait()
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode != 0
