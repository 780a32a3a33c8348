"""Energy-cost aware scheduling: when tasks run, by the price of energy, exact."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from combgrad.arguments import check_count
from combgrad.errors import InfeasibleError, SolverInputError
from combgrad.instances import EntryShape
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, check_rows
from combgrad.solvers.kernels.scheduling import cheapest_starts
from combgrad.solvers.scheduling_program import starts_by_program

#: Columns of `tasks` before those of the resources.
TIMES, ENERGY, USES = 3, 3, 4

#: Of the sum of all costs: schedules that differ by less count as equally good.
GAP = 1e-12

Table = ArrayLike | Tensor


class Schedule(NamedTuple):
    """What one instance has to run, and on what.

    Attributes:
        length, earliest, latest: of the T tasks in slots, int64 (T,); all slots of a task are from
            `earliest` to before `latest`.
        energy: of each task in a slot, (T,).
        use: of each resource in a slot, (T, R).
        room: of each resource on each machine, (M, R).
    """

    length: np.ndarray
    earliest: np.ndarray
    latest: np.ndarray
    energy: np.ndarray
    use: np.ndarray
    room: np.ndarray


class EnergyScheduling(Solver):
    """Tasks on machines, by the price of energy: y(w) = argmin <w, y> over the energy y that a
    schedule uses in each slot of time.

    Costs (B, H), of any sign, are the prices of H slots; solutions (B, H) are the energy used in
    them. Each task runs once and without a break, for its length, on one machine, from its earliest
    start to its latest end, and uses `energy` in each of its slots; in every slot each machine has
    room for what its tasks use of each resource. Among equally cheap schedules the choice is
    deterministic. Searched depth first, with the sum of what all other tasks cost at the best start
    still open to them as a bound, to within 1e-12 of all that could be spent; what takes more than
    `search_nodes` is solved by HiGHS (scipy) as a time-indexed program, with a tolerance of 1e-6.

    A call describes the instances, alike or one by one (B, ...):
        tasks: (T, 4 + R), of each task its length, earliest start and latest end in slots, its
            energy in a slot, and its use of the R resources, whole numbers but for the energy.
        capacities: (M, R), of each machine the room that it has of each resource, whole numbers.

    Raises SolverInputError for tasks that are none, and InfeasibleError, naming the batch index,
    where no schedule is possible. Source: Simonis, O'Sullivan, Mehta, Hurley and De Cauwer,
    Energy-Cost Aware Scheduling, CSPLib problem 059, without the costs of idling and switching.
    """

    traits = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
    per_row: Mapping[str, EntryShape] = {"tasks": (-1, -1), "capacities": (-1, -1)}

    def __init__(self, search_nodes: int = 300_000) -> None:
        super().__init__()
        self.search_nodes = check_count("search_nodes", search_nodes, "solver")

    def _check_shape(self, shape: torch.Size) -> None:
        check_rows(self, shape)

    def _solve(
        self, costs: Tensor, tasks: Table | None = None, capacities: Table | None = None
    ) -> Tensor:
        prices = to_array(costs)
        schedules = _schedules(len(prices), prices.shape[1], tasks, capacities)
        rows = [
            self._energy(*row, index)
            for index, row in enumerate(zip(prices, schedules, strict=True))
        ]
        return to_tensor(np.stack(rows), like=costs)

    def _energy(self, prices: np.ndarray, schedule: Schedule, index: int) -> np.ndarray:
        """The energy (H,) that the cheapest schedule uses in each slot."""
        # By a power of two, so that it changes no digit.
        costs = start_costs(np.ldexp(prices, -int(np.frexp(np.abs(prices).max())[1])), schedule)
        order = np.argsort(costs, axis=1, kind="stable")
        gap = GAP * np.abs(costs[np.isfinite(costs)]).sum()
        choices = np.isfinite(costs).sum(axis=1)
        starts = np.full(len(costs), -1)
        known = schedule.length, schedule.use, schedule.room
        if not cheapest_starts(costs, order, choices, *known, gap, self.search_nodes, starts):
            found = starts_by_program(costs, *known)
            starts = np.full(len(costs), -1) if found is None else found
        if (starts < 0).any():
            raise InfeasibleError(
                f"EnergyScheduling: the machines have no room for all tasks of batch index {index} "
                f"between their earliest starts and latest ends; add machines or capacity."
            )
        return used_energy(starts, schedule, len(prices))

    def feasible(
        self, solution: Tensor, tasks: Table | None = None, capacities: Table | None = None
    ) -> Tensor:
        """Whether solutions (B, H) use what all tasks need together, and none where none may run,
        (B,) bool; what every schedule has, though not every such solution is one."""
        energy = to_array(solution)
        size, slots = energy.shape
        kept = []
        for row, known in zip(energy, _schedules(size, slots, tasks, capacities), strict=True):
            most = np.zeros(slots)
            for start, end, each in zip(known.earliest, known.latest, known.energy, strict=True):
                most[start:end] += np.abs(each)
            whole = (known.length * known.energy).sum()
            slack = 8 * torch.finfo(solution.dtype).eps * (1 + np.abs(row).sum())
            kept.append(
                bool(abs(row.sum() - whole) <= slack and (np.abs(row) <= most + slack).all())
            )
        return torch.tensor(kept, dtype=torch.bool, device=solution.device)

    def optimum(
        self, costs: Tensor, tasks: Table | None = None, capacities: Table | None = None
    ) -> Tensor:
        """The cost of the best schedule by the time-indexed program, (B,)."""
        prices, least = to_array(costs), []
        for row, known in zip(
            prices, _schedules(len(prices), prices.shape[1], tasks, capacities), strict=True
        ):
            starts = starts_by_program(start_costs(row, known), known.length, known.use, known.room)
            assert starts is not None  # it is asked for instances that have been solved
            least.append(row @ used_energy(starts, known, len(row)))
        return torch.tensor(least, dtype=torch.float64, device=costs.device)


def start_costs(prices: np.ndarray, schedule: Schedule) -> np.ndarray:
    """What each task costs from each start (T, H), inf where it may not start there."""
    slots = len(prices)
    costs = np.full((len(schedule.length), slots), np.inf)
    for task, length in enumerate(schedule.length):
        windows = np.lib.stride_tricks.sliding_window_view(prices, length).sum(axis=1)
        open_ = slice(schedule.earliest[task], schedule.latest[task] - length + 1)
        costs[task, open_] = schedule.energy[task] * windows[open_]
    return costs


def used_energy(starts: np.ndarray, schedule: Schedule, slots: int) -> np.ndarray:
    """The energy (H,) that tasks with these starts (T,) use in each slot."""
    energy = np.zeros(slots)
    for start, length, each in zip(starts, schedule.length, schedule.energy, strict=True):
        energy[start : start + length] += each
    return energy


def _schedules(
    batch: int, slots: int, tasks: Table | None, capacities: Table | None
) -> Sequence[Schedule]:
    """What each instance of a batch has to run; raises SolverInputError."""
    if tasks is None or capacities is None:
        raise SolverInputError(
            "EnergyScheduling: a call needs tasks=(T, 4 + R) and capacities=(M, R), for all "
            "instances or one for each."
        )
    every, rooms = _numbers("tasks", tasks), _numbers("capacities", capacities)
    if every.ndim == rooms.ndim == 2:
        return [checked_schedule(every, rooms, slots)] * batch
    every, rooms = (np.broadcast_to(table, (batch, *table.shape[-2:])) for table in (every, rooms))
    schedules = []
    for index, row in enumerate(zip(every, rooms, strict=True)):
        try:
            schedules.append(checked_schedule(*row, slots))
        except SolverInputError as error:
            raise SolverInputError(f"{error} That is batch index {index}.") from error
    return schedules


def _numbers(name: str, table: Table) -> np.ndarray:
    try:
        array = np.asarray(table.cpu() if isinstance(table, Tensor) else table, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SolverInputError(f"EnergyScheduling: {name} are no numbers ({error}).") from error
    if array.ndim not in (2, 3) or not np.isfinite(array).all():
        raise SolverInputError(
            f"EnergyScheduling: {name} have shape {array.shape}; pass finite numbers, of two axes "
            f"for all instances or three for one by one."
        )
    return array


def checked_schedule(tasks: np.ndarray, capacities: np.ndarray, slots: int) -> Schedule:
    """The schedule of tasks (T, 4 + R) and capacities (M, R); raises SolverInputError."""
    resources = tasks.shape[1] - USES
    if resources < 0 or capacities.shape[1] != resources or not len(tasks) * len(capacities):
        raise SolverInputError(
            f"EnergyScheduling: tasks have shape {tasks.shape} and capacities {capacities.shape}; "
            f"pass (T, 4 + R) and (M, R), for the same R resources, at least one of each."
        )
    whole = np.delete(tasks, ENERGY, axis=1)
    if (whole != np.rint(whole)).any() or (capacities != np.rint(capacities)).any():
        raise SolverInputError(
            "EnergyScheduling: times, uses and capacities must be whole numbers; scale and round "
            "uses and capacities alike."
        )
    length, earliest, latest = tasks[:, :TIMES].T.astype(np.int64)
    use, room = np.ascontiguousarray(tasks[:, USES:]), np.ascontiguousarray(capacities)
    wrong = (length < 1) | (earliest < 0) | (latest > slots) | (earliest + length > latest)
    if wrong.any() or (use < 0).any():
        task = int((wrong | (use < 0).any(axis=1)).argmax())
        raise SolverInputError(
            f"EnergyScheduling: task {task} is {tasks[task].tolist()}; a length of at least 1 must "
            f"fit between an earliest start of at least 0 and a latest end of at most {slots}, and "
            f"no use may be below 0."
        )
    return Schedule(length, earliest, latest, tasks[:, ENERGY].copy(), use, room)
