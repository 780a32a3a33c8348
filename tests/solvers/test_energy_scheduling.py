"""EnergyScheduling finds what a time-indexed program and a plain enumeration find."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, milp

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers import EnergyScheduling
from combgrad.solvers.energy_scheduling import checked_schedule, start_costs
from combgrad.solvers.scheduling_program import starts_by_program
from combgrad.solvers.spending import spent


def enumerated(prices, tasks, room):
    """The least cost over all starts and machines, in plain loops; inf where nothing fits."""
    places = [
        list(itertools.product(range(int(e), int(late - n) + 1), range(len(room))))
        for n, e, late, *_ in tasks
    ]
    best = np.inf
    for chosen in itertools.product(*places):
        used, cost = np.zeros((*np.shape(room), len(prices))), 0.0
        for (start, machine), (length, _, _, energy, *use) in zip(chosen, tasks, strict=True):
            for slot in range(start, start + int(length)):
                used[machine, :, slot] += use
                cost += energy * prices[slot]
        if (used <= np.array(room)[:, :, None]).all():
            best = min(best, cost)
    return best


def by_highs(prices, tasks, room):
    """The least cost by a dense program, written down row by row."""
    options = [
        (t, m, s)
        for t, (n, e, late, *_) in enumerate(tasks)
        for m in range(len(room))
        for s in range(int(e), int(late - n) + 1)
    ]
    costs = [tasks[t][3] * prices[s : s + int(tasks[t][0])].sum() for t, _, s in options]
    once = np.array([[t == task for t, _, _ in options] for task in range(len(tasks))], dtype=float)
    rows = [
        [
            tasks[t][4] if m == machine and s <= slot < s + tasks[t][0] else 0.0
            for t, m, s in options
        ]
        for machine in range(len(room))
        for slot in range(len(prices))
    ]
    most = np.repeat([r[0] for r in room], len(prices))
    found = milp(
        costs,
        integrality=np.ones(len(options)),
        constraints=[LinearConstraint(once, 1, 1), LinearConstraint(np.array(rows), -np.inf, most)],
        options={"mip_rel_gap": 0.0},
    )
    return found.fun


@st.composite
def instances(draw):
    slots, resources = draw(st.integers(2, 5)), draw(st.integers(0, 2))
    tasks = []
    for _ in range(draw(st.integers(1, 3))):
        length = draw(st.integers(1, slots))
        early = draw(st.integers(0, slots - length))
        late = draw(st.integers(early + length, slots))
        energy = draw(st.sampled_from([0.0, 1.0, 2.5, 7.0]))
        tasks.append(
            [length, early, late, energy, *[draw(st.integers(0, 4)) for _ in range(resources)]]
        )
    room = [
        [draw(st.integers(1, 5)) for _ in range(resources)] for _ in range(draw(st.integers(1, 2)))
    ]
    prices = draw(st.lists(st.integers(-4, 4), min_size=slots, max_size=slots))
    return np.array(prices, dtype=float), tasks, room


@settings(max_examples=60, deadline=None)
@given(instances())
def test_it_finds_what_an_enumeration_finds(instance):
    prices, tasks, room = instance
    best = enumerated(prices, tasks, room)
    solver, costs = EnergyScheduling(), torch.tensor(prices)[None]
    if best == np.inf:
        with pytest.raises(InfeasibleError, match="batch index 0"):
            solver(costs, tasks=tasks, capacities=room)
        return
    found = solver(costs, tasks=tasks, capacities=room)
    assert float(spent(costs, found)) == pytest.approx(best, abs=1e-9)
    assert bool(solver.feasible(found, tasks=tasks, capacities=room).all())
    schedule = checked_schedule(
        np.array(tasks, dtype=float), np.array(room, dtype=float), len(prices)
    )
    starts = starts_by_program(
        start_costs(prices, schedule), *schedule[:1], schedule.use, schedule.room
    )
    assert start_costs(prices, schedule)[np.arange(len(tasks)), starts].sum() == pytest.approx(best)


def drawn(tasks, machines, seed, slots=24):
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(tasks):
        length = random.integers(1, slots // 2)
        early = random.integers(0, slots - length + 1)
        late = random.integers(early + length, slots + 1)
        rows.append([length, early, late, random.uniform(0.1, 5), random.integers(10, 60)])
    return random.uniform(10, 100, (4, slots)), rows, [[100]] * machines


@pytest.mark.parametrize("nodes", [1, 300_000])
def test_search_and_program_cost_what_highs_says(nodes):
    solver = EnergyScheduling(search_nodes=nodes)
    for seed in range(3):
        prices, tasks, room = drawn(8, 3, seed)
        costs = torch.from_numpy(prices)
        found = spent(costs, solver(costs, tasks=tasks, capacities=room))
        best = [by_highs(row, tasks, room) for row in prices]
        np.testing.assert_allclose(found.numpy(), best, rtol=1e-9)
        np.testing.assert_allclose(solver.optimum(costs, tasks, room).numpy(), best, rtol=1e-9)


def test_instances_may_have_tasks_of_their_own():
    solver = EnergyScheduling()
    drawings = [drawn(5, 2, seed) for seed in range(3)]
    costs = torch.stack([torch.from_numpy(prices[0]) for prices, _, _ in drawings])
    tasks = torch.tensor(np.array([rows for _, rows, _ in drawings]))
    together = solver(costs, tasks=tasks, capacities=[[100], [100]])
    for row, found in enumerate(together):
        alone = solver(costs[row : row + 1], tasks=tasks[row], capacities=[[100], [100]])
        assert torch.equal(found, alone[0])


@pytest.mark.parametrize(
    ("given_", "match"),
    [
        ({}, r"needs tasks=\(T, 4 \+ R\)"),
        ({"tasks": [[1, 0, 2, 1.0, 1]]}, "capacities"),
        ({"tasks": [[1, 0, 2, 1.0, 1]], "capacities": [[1, 1]]}, "same R resources"),
        ({"tasks": [[1.5, 0, 2, 1.0, 1]], "capacities": [[1]]}, "whole numbers"),
        ({"tasks": [[1, 0, 2, 1.0, 1], [3, 1, 3, 1.0, 1]], "capacities": [[1]]}, "task 1 is"),
        ({"tasks": [[1, 0, 9, 1.0, 1]], "capacities": [[1]]}, "latest end of at most 3"),
        ({"tasks": [[1, 0, 2, 1.0, -1]], "capacities": [[1]]}, "task 0 is"),
        ({"tasks": [[1, 0, 2, float("nan"), 1]], "capacities": [[1]]}, "finite"),
        ({"tasks": [["a"]], "capacities": [[1]]}, "no numbers"),
    ],
)
def test_what_is_no_instance_is_refused(given_, match):
    with pytest.raises(SolverInputError, match=match):
        EnergyScheduling()(torch.ones(2, 3), **given_)


def test_what_is_none_of_several_instances_names_it():
    tasks = [[[2, 0, 3, 1, 1]], [[2, 0, 4, 1, 1]]]
    with pytest.raises(SolverInputError, match=r"task 0 is .* That is batch index 1\."):
        EnergyScheduling()(torch.ones(2, 3), tasks=tasks, capacities=[[1]])


def test_too_much_to_run_names_the_instance():
    costs = torch.ones(2, 3)
    tasks = torch.tensor([[[2.0, 0, 3, 1, 1], [2, 0, 3, 1, 0]], [[2, 0, 3, 1, 1], [2, 0, 3, 1, 1]]])
    for nodes in (1, 1000):
        with pytest.raises(InfeasibleError, match="batch index 1 "):
            EnergyScheduling(nodes)(costs, tasks=tasks, capacities=[[1]])
