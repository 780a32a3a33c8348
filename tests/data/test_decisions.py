"""Sets of decision problems: what they draw, what their solutions are, and what is refused."""

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from combgrad.data.base import Place
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.knapsacks import Knapsacks
from combgrad.data.decisions.polynomial import ShortestPaths
from combgrad.data.decisions.problems import DecisionSet, part_of, predictor_of, solver_of, trees_of
from combgrad.data.decisions.tours import Tours
from combgrad.data.files.npy import DataFileError
from combgrad.errors import InfeasibleError, SolverInputError, UnboundedError
from combgrad.solvers import ILP, ShortestPath

NOWHERE = Place(None)
SIZES = {"train": 6, "val": 3, "test": 3}


def module(collection, **changes):
    settings = {"train_size": 6, "eval_size": 3, "batch_size": 4, "order_seed": 0}
    made = Decisions(collection, **settings | changes)
    made.setup()
    return made


#: Written down from PyEPO 2.2.7, with the seed 7 and few features: the set, its features and costs.
GOLDEN = {
    "shortest_path": (
        ShortestPaths(features=2, deg=3, noise_width=0.25, draw_seed=7, grid=(2, 3)),
        [[0.50529937, -0.26135642], [-0.24274908, -1.45324141], [0.55458031, 0.12388091]],
        [
            [0.4703858, 0.5568855, 0.9251685, 0.73976773, 0.66070616, 0.86421645, 0.7082492],
            [0.199033, 0.17244099, 0.15878136, 0.5158737, 0.64568204, 0.14882143, 0.7634018],
            [0.8052006, 0.64383274, 1.0425949, 0.82914674, 0.637663, 0.9321056, 0.704457],
        ],
    ),
    "knapsack": (
        Knapsacks(features=3, deg=2, noise_width=0.5, draw_seed=7, items=4, dimensions=2),
        [[0.56927178, -0.20413855, 0.88357111], [-0.83654426, 0.64505501, -0.45006903]],
        [[-3.0, -8.0, -8.0, -6.0], [-4.0, -3.0, -3.0, -2.0]],
    ),
    "tsp": (
        Tours(features=3, deg=2, noise_width=0.5, draw_seed=7, cities=4),
        [[1.76616088, -0.32941375, 0.84073324], [-0.1799864, 0.56806189, -0.7528372]],
        [
            [4.8715, 4.4096, 4.8809, 3.2256, 4.7087, 1.7856],
            [2.9117, 5.5293, 4.4512, 5.0419, 4.5181, 5.1264],
        ],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_numbers_are_those_that_pyepo_drew(name):
    made, features, costs = GOLDEN[name]
    drawn = made.drawn(len(features))
    np.testing.assert_allclose(drawn.features, features, rtol=1e-6)
    np.testing.assert_allclose(drawn.costs, costs, rtol=1e-6)


def test_what_instances_share_is_what_pyepo_drew():
    expected = [[4.75, 4.96, 3.25, 3.67], [5.11, 7.07, 4.03, 6.48]]
    np.testing.assert_allclose(GOLDEN["knapsack"][0].weights / 100, expected)


#: PyEPO's generator of a set, its arguments after the first two, and the sign of its costs here.
SAME = {
    "shortest_path": (ShortestPaths(grid=(5, 5)), "shortestpath", ((5, 5),), 1),
    "wide_path": (ShortestPaths(grid=(2, 4)), "shortestpath", ((2, 4),), 1),
    "knapsack": (Knapsacks(), "knapsack", (32, 1), -1),
    "knapsack_2d": (Knapsacks(dimensions=2), "knapsack", (32, 2), -1),
    "tsp": (Tours(), "tsp", (20,), 1),
    "odd_tsp": (Tours(cities=7), "tsp", (7,), 1),
}


@pytest.mark.parametrize("deg", [1, 4, 6])
@pytest.mark.parametrize("name", SAME)
def test_all_splits_together_are_what_pyepo_draws(name, deg):
    made, module, arguments, sign = SAME[name]
    theirs = pytest.importorskip(f"pyepo.data.{module}", reason="PyEPO is not installed")
    *shared, x, c = theirs.genData(12, 5, *arguments, deg=deg, seed=135, noise_width=0.5)
    made = replace(made, deg=deg, noise_width=0.5)
    parts = [made.rows(NOWHERE, split, SIZES) for split in ("train", "val", "test")]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.testing.assert_array_equal(found["features"], x.astype(np.float32))
    np.testing.assert_array_equal(found["true_costs"], sign * c)
    if module == "knapsack":
        np.testing.assert_array_equal(made.weights / 100, shared[0])


def test_the_edges_are_in_the_order_of_pyepo():
    utils = pytest.importorskip("pyepo.model.utils", reason="PyEPO is not installed")
    for grid in ((2, 2), (3, 4), (5, 5)):
        edges = ShortestPaths(grid=grid).graph.edges
        assert [*map(tuple, edges.tolist())] == utils._get_grid_arcs(grid)


def paths_by_steps(rows, columns):
    """The steps of every way right and down, and the two nodes of each step."""
    for steps in itertools.product("rd", repeat=rows + columns - 2):
        if steps.count("d") == rows - 1:
            node, way = 0, []
            for step in steps:
                following = node + (1 if step == "r" else columns)
                way.append((node, following))
                node = following
            yield way


def test_targets_are_the_cheapest_of_all_ways():
    data = module(ShortestPaths(deg=4, noise_width=0.5, grid=(3, 4)))
    edges = [*map(tuple, data.collection.graph.edges.tolist())]
    for split in ("train", "val", "test"):
        columns = data.columns(split)
        for costs, target in zip(columns["true_costs"], columns["target"], strict=True):
            prices = dict(zip(edges, costs.tolist(), strict=True))
            least = min(sum(prices[step] for step in way) for way in paths_by_steps(3, 4))
            assert float(costs @ target) == pytest.approx(least)
            assert int(target.sum()) == 5


def test_columns_have_the_shapes_that_the_set_says():
    data = module(ShortestPaths())
    for split, count in SIZES.items():
        columns = data.columns(split)
        assert {name: column.dtype for name, column in columns.items()} == dict.fromkeys(
            ("features", "true_costs", "target"), torch.float32
        )
        assert columns["features"].shape == (count, *data.collection.feature_shape)
        assert columns["true_costs"].shape == (count, *data.collection.cost_shape)
    net = predictor_of(data.collection, hidden=[7])
    assert net(data.columns("val")["features"]).shape == (3, 40)
    assert repr(solver_of(data.collection)) == repr(data.collection.solver())


def test_splits_follow_one_another():
    assert [part_of(split, SIZES) for split in SIZES] == [slice(0, 6), slice(6, 9), slice(9, 12)]


def test_a_fingerprint_tells_settings_apart_but_no_draws():
    base = ShortestPaths()
    mark = base.fingerprint(NOWHERE)
    assert replace(base, draw_seed=3).fingerprint(NOWHERE) == mark
    changes = {"features": 6, "deg": 2, "noise_width": 0.5, "grid": (5, 6)}
    others = [
        replace(base, **{name: value}).fingerprint(NOWHERE) for name, value in changes.items()
    ]
    assert len({mark, *others}) == 5
    assert ShortestPaths(grid=[5, 5]).fingerprint(NOWHERE) == mark


@pytest.mark.parametrize(
    "changes",
    [
        {"features": 0},
        {"features": 2.5},
        {"deg": 0},
        {"noise_width": -0.1},
        {"noise_width": float("nan")},
        {"draw_seed": -1},
        {"draw_seed": 2**32},
        {"grid": (5,)},
        {"grid": (1, 5)},
        {"grid": (5, 2.0)},
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=rf"data\.collection\.{name} is"):
        ShortestPaths(**changes)


def test_what_was_solved_is_kept_and_other_draws_are_other_data(tmp_path, monkeypatch):
    made = module(ShortestPaths(draw_seed=1), cache=str(tmp_path)).columns("train")
    other = module(ShortestPaths(draw_seed=2), cache=str(tmp_path)).columns("train")
    assert not torch.equal(made["true_costs"], other["true_costs"])
    monkeypatch.setattr(ShortestPaths, "drawn", lambda *_: pytest.fail("drawn again"))
    again = module(ShortestPaths(draw_seed=1), cache=str(tmp_path)).columns("train")
    assert all(torch.equal(made[name], again[name]) for name in made)


@dataclass(frozen=True)
class Cells(DecisionSet):
    """Maps of 2 x 3 cells, each with a start of its own."""

    source: ClassVar[str] = "stand-in"
    wrong: str = ""

    @property
    def feature_shape(self):
        return (2, 3, 4)

    @property
    def cost_shape(self):
        return (2, 3)

    def solver(self):
        if self.wrong == "infeasible":
            return ILP([[1.0] * 6], 7.0, float("inf"))
        return ShortestPath()

    def rows(self, place, split, sizes):
        count = sizes[split] + (self.wrong == "count")
        features = np.ones((count, 2, 3, 4))
        costs = np.random.default_rng(0).random((count, 2, 3)) + 0.1
        if self.wrong == "shape":
            costs = costs[:, :, :2]
        if self.wrong == "nan":
            costs[2, 0, 0] = np.nan
        rows = {"features": features, "true_costs": costs}
        if self.wrong == "missing":
            del rows["features"]
        if self.wrong == "infeasible":
            return rows
        name = "begin" if self.wrong == "entry" else "start"
        return rows | {name: np.tile([0, 1], (count, 1))}

    def fingerprint(self, place):
        return "cells"


def test_the_columns_have_one_order_wherever_they_come_from(tmp_path):
    made = [module(ShortestPaths(), cache=cache) for cache in (None, tmp_path, tmp_path)]
    for data in made:
        features, true_costs, target = next(iter(data.train_dataloader())).values()
        assert features.shape == (4, 5)
        # 8 of 40 edges make a way from corner to corner, and every edge costs something.
        assert target.sum(dim=1).tolist() == [8.0] * 4
        assert bool((true_costs > 0).all())


def test_further_entries_reach_the_solver():
    columns = module(Cells()).columns("train")
    assert columns["start"].tolist() == [[0, 1]] * 6
    # From the second cell of three there are two steps at most.
    assert float(columns["target"][:, 0, 1].min()) == 1
    assert float(columns["target"].sum(dim=(1, 2)).max()) <= 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            "shape",
            r"true_costs of the train split have shape \(6, 2, 2\); they must have",
        ),
        ("count", r"features of the train split have shape \(7, 2, 3, 4\)"),
        ("missing", r"features of the train split have shape None"),
        ("nan", "true_costs of row 2 of the train split are not finite"),
    ],
)
def test_rows_of_another_shape_than_the_set_says_are_refused(wrong, told):
    with pytest.raises(ValueError, match=f"Cells: {told}"):
        module(Cells(wrong))


def test_numbers_beyond_single_precision_are_refused():
    @dataclass(frozen=True)
    class Huge(Cells):
        def rows(self, place, split, sizes):
            rows = super().rows(place, split, sizes)
            rows["features"][1, 0, 0, 0] = 1e39
            return rows

    with pytest.raises(ValueError, match=r"Huge: features of row 1 of the train split .*3\.4e38"):
        module(Huge())


def test_a_set_without_instances_of_a_split_is_refused():
    @dataclass(frozen=True)
    class Unvalidated(Cells):
        def available(self, place):
            return {"train": 6, "val": 0, "test": 3}

    with pytest.raises(ValueError, match="Unvalidated: has no instances for the val split"):
        module(Unvalidated())


def test_an_instance_without_solution_is_named_with_its_split():
    pytest.importorskip("highspy")

    @dataclass(frozen=True)
    class Impossible(Cells):
        cost_shape = (6,)
        feature_shape = (4,)

        def rows(self, place, split, sizes):
            return {
                "features": np.ones((sizes[split], 4)),
                "true_costs": np.ones((sizes[split], 6)),
            }

    with pytest.raises(InfeasibleError, match=r"Impossible, train rows from 0 on: .*batch index 0"):
        module(Impossible("infeasible"))


def test_an_entry_that_the_solver_does_not_know_is_refused():
    with pytest.raises(SolverInputError, match=r"Cells, train rows from 0 on: .*'begin'"):
        module(Cells("entry"))


def test_what_is_no_set_or_lacks_its_folder_is_refused():
    for use in (module, solver_of, predictor_of, trees_of):
        with pytest.raises(ValueError, match=r"data\.collection is a str; give a set of decision"):
            use("paths")

    class Published(ShortestPaths):
        source = "original"

    with pytest.raises(DataFileError, match=r"Published needs data\.path"):
        module(Published())


def test_batches_need_no_trainer():
    data = Decisions(ShortestPaths(), train_size=6, eval_size=3, batch_size=4)
    sizes = [{name: len(rows) for name, rows in batch.items()} for batch in data.train_dataloader()]
    assert sizes == [dict.fromkeys(("features", "true_costs", "target"), n) for n in (4, 2)]


def packings(weights, room):
    """All choices of items (2^m, m) that fit, 0/1."""
    choices = np.array([*itertools.product((0, 1), repeat=weights.shape[1])])
    return choices[(choices @ weights.T <= room).all(axis=1)]


@pytest.mark.parametrize("dimensions", [1, 2])
def test_targets_are_the_most_valuable_packings(dimensions):
    if dimensions > 1:
        pytest.importorskip("highspy")
    capacity = 12.5 if dimensions == 1 else (12.5, 15)
    made = Knapsacks(items=7, dimensions=dimensions, capacity=capacity, deg=4, noise_width=0.5)
    columns = module(made).columns("train")
    fitting = packings(made.weights, np.round(100 * np.array(made.capacity)))
    assert 10 < len(fitting) < 128
    for costs, target in zip(columns["true_costs"].numpy(), columns["target"], strict=True):
        assert float((costs * target.numpy()).sum()) == (fitting @ costs).min()
        assert target.int().tolist() in fitting.tolist()


def test_targets_are_the_shortest_tours():
    data = module(Tours(cities=5, deg=4, noise_width=0.5))
    edges = [*map(tuple, data.collection.graph.edges.tolist())]
    assert data.collection.graph.nodes.shape == (5, 2)
    for costs, target in zip(*map(data.columns("test").get, ("true_costs", "target")), strict=True):
        price = dict(zip(edges, costs.tolist(), strict=True))
        rounds = [(0, *order, 0) for order in itertools.permutations(range(1, 5))]
        lengths = [
            sum(price[min(a, b), max(a, b)] for a, b in itertools.pairwise(tour)) for tour in rounds
        ]
        assert float(costs @ target) == pytest.approx(min(lengths))


@pytest.mark.parametrize(
    ("make", "changes", "told"),
    [
        (Knapsacks, {"items": 0}, "items is 0"),
        (Knapsacks, {"dimensions": 0}, "dimensions is 0"),
        (Knapsacks, {"capacity": -1}, "capacity is -1"),
        (Knapsacks, {"capacity": 3.123}, "capacity is 3.123; weights have two digits"),
        (Knapsacks, {"capacity": (1, 2)}, "capacity has 2 entries for 1 dimensions"),
        (Tours, {"cities": 2}, "cities is 2"),
        (Tours, {"noise_width": "wide"}, "noise_width is 'wide'"),
    ],
)
def test_settings_of_a_problem_are_checked_too(make, changes, told):
    with pytest.raises(ValueError, match=rf"data\.collection\.{told}"):
        make(**changes)


def test_a_decision_that_gains_without_end_is_named_with_its_split():
    pytest.importorskip("highspy")

    @dataclass(frozen=True)
    class Boundless(Cells):
        cost_shape = (2,)
        feature_shape = (4,)

        def solver(self):
            return ILP([[1.0, -1.0]], 0.0, bounds=(0, np.inf))

        def rows(self, place, split, sizes):
            count = sizes[split]
            return {"features": np.ones((count, 4)), "true_costs": -np.ones((count, 2))}

    with pytest.raises(UnboundedError, match=r"Boundless, train rows from 0 on: .*batch index 0"):
        module(Boundless())


def test_costs_of_the_wrong_sign_are_named_with_their_split():
    @dataclass(frozen=True)
    class Gains(Cells):
        def rows(self, place, split, sizes):
            rows = super().rows(place, split, sizes)
            return rows | {"true_costs": -rows["true_costs"]}

    with pytest.raises(SolverInputError, match=r"Gains, train rows from 0 on: .*negative"):
        module(Gains())
