"""docs/coming-from-pyepo.md: its blocks run in order, and do what PyEPO's first notebooks do."""

import subprocess
import sys
from importlib.util import find_spec

import networkx as nx
import pytest
import torch

from combgrad import metrics
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.polynomial import ShortestPaths
from doc_pages import blocks

PAGE = "coming-from-pyepo.md"
OWN = [block for block in blocks(PAGE) if "pyepo" not in block]
THEIRS = [block for block in blocks(PAGE) if "pyepo" in block]


@pytest.fixture(scope="module")
def names():
    """What the blocks that need no PyEPO leave behind, the loop of the first with one epoch."""
    found: dict = {}
    for number, block in enumerate(OWN):
        short = block.replace("range(10)", "range(2)").replace("epochs=20", "epochs=2")
        exec(compile(short, f"{PAGE}, block {number}", "exec"), found)
    return found


def test_the_first_example_decides_better_than_chance(names):
    assert len(OWN) == 5
    assert 0 < float(names["regret"]) < 0.12


def test_the_program_of_fifteen_lines_learns():
    quick, *_ = OWN
    assert len([line for line in quick.splitlines() if line]) == 15
    torch.manual_seed(0)
    found: dict = {}
    exec(quick, found)
    true, target = found["true_costs"], found["target"]
    untrained = metrics.normalised_regret(
        found["layer"].solver(torch.rand(true.shape)), target, true
    )
    assert 0 < float(found["regret"]) < float(untrained) / 4


def test_three_ways_to_a_model_agree_with_networkx(names):
    graph = nx.DiGraph()
    arcs, costs = names["arcs"].tolist(), names["cost"]
    graph.add_weighted_edges_from((*arc, c) for arc, c in zip(arcs, costs, strict=True))
    shortest = nx.shortest_path_length(graph, 0, 24, weight="weight")
    for solver in names["ways"].values():
        found = solver(torch.tensor([costs], dtype=torch.float64))[0].tolist()
        paid = sum(c * used for c, used in zip(costs, found, strict=True))
        assert paid == pytest.approx(shortest, abs=1e-12)
    assert names["solutions"].shape == (100, 40)


def test_the_set_of_arrays_has_what_an_opt_dataset_has(names):
    x, c, w, z = names["train_set"][:5]
    assert [tuple(part.shape) for part in (x, c, w, z)] == [(5, 5), (5, 40), (5, 40), (5, 1)]
    torch.testing.assert_close((c * w).sum(1, keepdim=True), z)
    assert w.sum(1).tolist() == [8] * 5  # moves across a grid of 5 x 5
    assert len(names["test_set"]) == 1000


def test_the_loader_of_the_first_example_shuffles_anew_at_every_pass():
    data = Decisions(ShortestPaths(), train_size=64, eval_size=4)
    batches = data.train_dataloader()
    first, second = ([batch["features"] for batch in batches] for _ in range(2))
    assert not torch.equal(first[0], second[0])


#: The names of PyEPO's notebook, in its order.
NOTEBOOK = (
    "SPOPlus", "PG", "DPO", "DPOMul", "PFY", "PFYMul", "IMLE", "AIMLE", "RFWO", "RFY", "DBB", "NID",
    "NCE", "CMAP", "lsLTR", "prLTR", "ptLTR",
)  # fmt: skip


@pytest.mark.parametrize("name", NOTEBOOK)
def test_every_method_of_the_third_notebook_trains(names, name):
    assert set(names["methods"]) == set(NOTEBOOK)
    losses, regrets = names["train"](name, epochs=2)
    assert len(losses) == 2 * 32
    assert len(regrets) == 3
    assert all(value == value for value in losses)
    assert regrets[-1] < regrets[0], regrets


def test_the_layer_with_a_pool_asks_its_solver_in_a_tenth_of_the_calls(names):
    assert 0 < names["solved"] < 30
    assert len(names["pool"]) > 100
    assert names["layer"].pool is names["pool"]
    assert not names["pool"].training


def test_the_noise_of_the_page_is_that_of_pyepo(names):
    utils = pytest.importorskip("pyepo.func.utils", reason="PyEPO is not installed")
    theirs = utils.sumGammaDistribution(kappa=5).sample(20_000)
    torch.manual_seed(0)
    ours = -names["SumOfGamma"]().sample((20_000,), torch.float64, torch.device("cpu"))
    assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=0.02)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.03)


CHECK = """
from combgrad.data.decisions.polynomial import ShortestPaths

best = ShortestPaths(grid=(5, 5)).solver()(true_costs)
torch.testing.assert_close(labels.target, best)
assert loss > 0
"""


def test_a_model_of_pyepo_is_a_solver():
    for package in ("pyepo", "ortools"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (block,) = THEIRS
    # In a process of its own: OR-Tools and highspy, which an ILP loads, do not share one.
    done = subprocess.run([sys.executable, "-c", block + CHECK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
