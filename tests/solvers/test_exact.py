"""Every solver is exact: no other solution costs less, counted in whole numbers.

Costs of all sizes and dtypes, in all layouts, alone and in batches, with entries forbidden by inf,
against all solutions of small instances. `make fuzz` runs these tests on ever new ones.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.solvers import ShortestPath
from contract import ROWS, choices

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


ordinary = st.floats(-10, 10)
magnitudes = st.builds(
    lambda sign, power, digits: sign * digits * 10.0**power,
    st.sampled_from([-1, 1]), st.integers(-300, 300), st.floats(1, 10),
)  # fmt: skip
few = st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 0.1 + 0.2, 1.0, 1.0 + 2.0**-52, -1.0])
edge = st.sampled_from([5e-324, -5e-324, 2.2e-308, 1.7e308, -1.7e308, 1e9, 1e16, -1e16])


@st.composite
def rows(draw, size):
    """One instance of a kind: plain, mixed, shifted, with large numbers that forbid, with ties."""
    kind = draw(st.sampled_from(["plain", "mixed", "shifted", "large", "ties", "edge", "inf"]))
    plain = st.lists(ordinary, min_size=size, max_size=size)
    if kind in ("mixed", "ties", "edge"):
        value = {"mixed": magnitudes, "ties": few, "edge": edge | ordinary | magnitudes}[kind]
        return draw(st.lists(value, min_size=size, max_size=size))
    values = draw(plain)
    if kind == "shifted":
        shift = draw(st.sampled_from([1e6, 1e10, -1e15]))
        return [value + shift for value in values]
    if kind in ("large", "inf"):
        large = draw(st.sampled_from([1e6, 1e9, 1e12, 1e17])) if kind == "large" else float("inf")
        where = draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return [large if w else value for w, value in zip(where, values, strict=True)]
    return values


def laid_out(costs, layout):
    """The same costs (B, *S), not contiguous in memory, or all rows in one place."""
    if layout == "strided":
        return torch.stack([costs, torch.zeros_like(costs)], dim=-1)[..., 0]
    if layout == "batch last":
        return costs.movedim(0, -1).contiguous().movedim(-1, 0)
    if layout == "expanded":
        return costs[:1].expand(3, *costs.shape[1:])
    return costs


def whole(values):
    """Finite floats as integers, in units of the least double."""
    return [int(Fraction(value) * 2**1074) for value in values]


def least(problem, values):
    """The least exact cost of all solutions without forbidden entries, None for none."""
    forbidden = np.isinf(values)
    solutions = problem.solutions.reshape(len(problem.solutions), -1)
    allowed = solutions[~((solutions != 0) & forbidden).any(axis=1)]
    if not len(allowed):
        return None
    finite = np.array(whole(np.where(forbidden, 0.0, values).tolist()), dtype=object)
    return (allowed.astype(object) @ finite).min()


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].exact])
@given(data=st.data())
def test_no_other_solution_costs_less(name, data):
    problem = ROWS[name]
    size = int(np.prod(problem.shape))
    batch = data.draw(st.integers(1, 3))
    dtype = data.draw(st.sampled_from(DTYPES))
    drawn = np.array([data.draw(rows(size)) for _ in range(batch)])
    drawn = drawn if problem.signed else np.abs(drawn)
    costs = torch.from_numpy(drawn).to(dtype).view(batch, *problem.shape)
    if dtype != torch.float64:
        # What is infinite in a smaller dtype only is an ordinary large cost.
        most = torch.finfo(dtype).max
        costs = torch.where(
            torch.from_numpy(np.isinf(drawn)).view_as(costs), costs, costs.clamp(-most, most)
        )
    costs = laid_out(costs, data.draw(st.sampled_from(["", "strided", "batch last", "expanded"])))
    values = costs.double().reshape(len(costs), -1).numpy()
    best = [least(problem, row) for row in values]
    instances = problem.described(len(costs))
    if not problem.solver.forbids and np.isinf(values).any():
        with pytest.raises(SolverInputError, match="NaN or inf"):
            problem.solver(costs, instances)
        return
    if None in best:
        with pytest.raises(InfeasibleError, match=f"batch index {best.index(None)}"):
            problem.solver(costs, instances)
        return
    solution = problem.solver(costs, instances)
    assert solution.dtype == dtype
    assert bool(problem.solver.feasible(solution, **instances.entries).all())
    for marks, row, expected in zip(solution.reshape(len(costs), -1), values, best, strict=True):
        used = marks.double().numpy()
        assert not np.isinf(row[used != 0]).any()
        found = whole(np.where(used != 0, row, 0.0).tolist())
        assert sum(int(u) * f for u, f in zip(used, found, strict=True)) == expected


#: A ranking has no marks, a function knows no members, and of schedules only their sums are told.
WITHOUT_MEMBERS = ("ranking", "function", "energy-scheduling")


@pytest.mark.parametrize("name", [name for name in ROWS if name not in WITHOUT_MEMBERS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_feasible_knows_the_members_from_all_other_marks(name, dtype):
    problem = ROWS[name]
    size = int(np.prod(problem.shape))
    random = np.random.default_rng(0)
    others = choices(size) if size <= 10 else random.integers(0, 2, (500, size))
    solutions = problem.solutions.reshape(len(problem.solutions), -1)
    members = {tuple(row) for row in solutions.tolist()}
    if isinstance(problem.solver, ShortestPath):
        # Paths with detours are never the only cheapest ones, and are no members.
        members = {tuple(row) for row in solutions.tolist() if not has_detour(problem, row)}
    rows = np.concatenate([others, solutions, 2 * solutions[:1], 0.5 * solutions[-1:]])
    marks = torch.from_numpy(rows).to(dtype).view(-1, *problem.shape)
    expected = [tuple(row) in members for row in rows.tolist()]
    entries = problem.described(len(marks)).entries
    assert problem.solver.feasible(marks, **entries).tolist() == expected
    assert problem.solver.feasible(laid_out(marks, "strided"), **entries).tolist() == expected
    none = problem.described(1).rows([]).entries
    assert problem.solver.feasible(marks[:0], **none).shape == (0,)


def has_detour(problem, row):
    cells = [divmod(cell, problem.shape[1]) for cell in np.flatnonzero(row)]
    reach = 1 if problem.solver.neighbours == 8 else 0
    touching = sum(
        max(abs(a - c), abs(b - d)) == 1 and (reach or a == c or b == d)
        for (a, b), (c, d) in itertools.combinations(cells, 2)
    )
    return touching != len(cells) - 1
