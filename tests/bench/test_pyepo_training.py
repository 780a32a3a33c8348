"""Trainings by PyEPO beside ours: both see the same, and the tables count what they say."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from benchmarks.pyepo_comparison import Pairs, paired, signed, tables
from benchmarks.pyepo_methods import METHODS, exact_model, problem_of
from benchmarks.pyepo_training import Training, load, our_run, save
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.knapsacks import Knapsacks
from combgrad.data.decisions.polynomial import ShortestPaths
from combgrad.data.decisions.portfolios import Portfolios
from combgrad.data.decisions.tours import Tours
from combgrad.gradients.perturbed import NoiseKind
from combgrad.runs.configuration import CONFIG_FOLDER
from combgrad.solvers import Knapsack

SETS = {
    "path": ShortestPaths(grid=(3, 3), deg=2, noise_width=0.5),
    "knapsack": Knapsacks(items=6, deg=2, noise_width=0.5, capacity=12),
    "tours": Tours(cities=5, deg=2, noise_width=0.5),
    "portfolio": Portfolios(assets=4, deg=2),
}
TRAINING = Training("pto_knapsack", "SPO+", 0, "own", 0, "a", 0.08, 0.09, 3, 1.5)


def record_of(last, best):
    values = {"last/normalised_regret": last, "test/normalised_regret": best}
    return SimpleNamespace(metrics=values, seconds={"train": 2.0})


class Kept:
    def __init__(self, records):
        self.records = records

    def by_key(self):
        return self.records


def test_every_method_is_chosen_by_words_that_there_are():
    for method in METHODS.values():
        for key, option in (word.split("=") for word in method.words):
            if key == "loss.noise":
                assert option in NoiseKind.__args__
            else:
                assert (CONFIG_FOLDER / key / f"{option}.yaml").exists(), method.words
    # PyEPO's I-MLE has next to no noise, as ours.
    for name in ("imle", "adaptive_imle"):
        text = (CONFIG_FOLDER / "grad" / f"{name}.yaml").read_text(encoding="utf-8")
        assert "noise: null" in text


def test_trainings_are_written_in_the_order_of_the_tables_and_read_again(tmp_path):
    others = [
        dataclasses.replace(TRAINING, seed=1),
        dataclasses.replace(TRAINING, task="pto_shortest_path", method="two stages"),
    ]
    path = tmp_path / "found.json"
    assert load(path) == []
    save(path, [others[0], TRAINING, others[1]])
    assert load(path) == [others[1], TRAINING, others[0]]


def test_differences_are_of_pairs_and_in_deviations_of_ours():
    trainings = [
        dataclasses.replace(TRAINING, seed=seed, noise=seed, key=str(seed), last=last)
        for seed, last in ((1, 0.12), (0, 0.08), (2, 0.10))
    ]
    other = dataclasses.replace(TRAINING, noise=7, key="0")
    records = {str(n): record_of(last, 0.09) for n, last in ((0, 0.07), (1, 0.11), (2, 0.09))}
    found = paired([*trainings, other], Kept(records))
    (pairs,) = found.values()
    assert pairs.differences("last") == pytest.approx([1.0, 1.0, 1.0])
    assert pairs.deviations == pytest.approx(0.5)  # ours are 7, 11 and 9 %
    text = tables(found)
    assert "## Knapsack" in text
    assert "## Portfolio" not in text
    assert (
        "| SPO+ | PyEPO's | 3 | 10.00 | 9.00 | +1.000 | +1.000 | +0.50 | 9.00 | 9.00 | 0 |" in text
    )
    assert Pairs(pairs.theirs[:1], pairs.ours[:1]).deviations is None
    assert [signed(0.0004, 3), signed(-0.0006, 3)] == ["0", "-0.001"]


@pytest.mark.parametrize("name", SETS)
def test_a_problem_of_pyepo_has_our_instances_and_solutions(name):
    pytest.importorskip("pyepo", reason="PyEPO is not installed")
    data = Decisions(SETS[name], train_size=6, eval_size=2)
    problem = problem_of(data, own=False)
    columns = data.columns("train")
    assert torch.equal(columns["features"], torch.from_numpy(problem.features[:6]).float())
    costs = torch.from_numpy(problem.costs[:6]).float()
    assert torch.equal(columns["true_costs"], problem.sense * costs)
    for row, target in zip(costs, columns["target"], strict=True):
        problem.model.setObj(row.numpy())
        solution, value = problem.model.solve()
        assert value == pytest.approx(float((target * row).sum()), rel=1e-4)
        assert solution.shape == target.shape


def test_all_of_a_batch_are_solved_at_once_and_other_models_one_by_one():
    utils = pytest.importorskip("pyepo.func.utils", reason="PyEPO is not installed")
    solver = Knapsack([3, 4, 2], 5)
    model = exact_model(solver, 3, -1.0)
    values = torch.tensor([[1.0, 5.0, 1.0], [3.0, 1.0, 4.0]])
    found, spent = utils._solve_batch(values, model, 1, None)
    assert found.tolist() == [[0, 1, 0], [1, 0, 1]]
    assert spent.tolist() == [5, 7]
    assert solver.solved == 2


def test_what_pyepo_has_no_free_model_of_is_said():
    pytest.importorskip("pyepo", reason="PyEPO is not installed")
    with pytest.raises(ValueError, match="no model of Tours"):
        problem_of(Decisions(SETS["tours"], train_size=2, eval_size=1), own=True)


def test_first_weights_depend_on_the_seed_alone():
    nets = [our_run("pto_knapsack", words, 3).experiment.net
            for words in (("loss=spo_plus",), ("loss=regret", "grad=blackbox"))]  # fmt: skip
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)
