"""Tasks on machines, each started once, at the least cost: depth first, with a bound that looks on.

Shapes: T tasks, M machines, R resources, H slots of time.
"""

import numpy as np
from numpy.typing import NDArray

from combgrad.solvers.kernels import inner, kernel


@inner
def _fits(
    used: NDArray[np.float64],
    room: NDArray[np.float64],
    machine: int,
    start: int,
    end: int,
    use: NDArray[np.float64],
) -> bool:
    """Whether a machine has what a task uses (R,) in all slots from start to before end."""
    for resource in range(room.shape[1]):
        most = room[machine, resource] - use[resource]
        for slot in range(start, end):
            if used[machine, resource, slot] > most:
                return False
    return True


@inner
def _same_before(used: NDArray[np.float64], room: NDArray[np.float64], machine: int) -> bool:
    """Whether an earlier machine has as much room, and as much of it used in every slot."""
    for other in range(machine):
        same = True
        for resource in range(room.shape[1]):
            same = same and room[other, resource] == room[machine, resource]
            for slot in range(used.shape[2]):
                if not same or used[other, resource, slot] != used[machine, resource, slot]:
                    same = False
                    break
        if same:
            return True
    return False


@inner
def _bound(
    costs: NDArray[np.float64],
    order: NDArray[np.int64],
    choices: NDArray[np.int64],
    length: NDArray[np.int64],
    use: NDArray[np.float64],
    room: NDArray[np.float64],
    used: NDArray[np.float64],
    placed: NDArray[np.bool_],
    first: NDArray[np.int64],
) -> float:
    """What all tasks that are not placed cost at least, each at the best start still open to it.

    `first` (T,), where in its order that start is, only grows with what is used.
    """
    total = 0.0
    for task in range(len(costs)):
        if placed[task]:
            continue
        place, found = first[task], False
        while place < choices[task] and not found:
            start = order[task, place]
            for machine in range(len(room)):
                if _fits(used, room, machine, start, start + length[task], use[task]):
                    found = True
                    break
            if not found:
                place += 1
        first[task] = place
        if not found:
            return np.inf
        total += costs[task, order[task, place]]
    return total


@inner
def _largest(placed: NDArray[np.bool_], size: NDArray[np.float64]) -> int:
    """The largest task that is not placed."""
    found = -1
    for task in range(len(placed)):
        if not placed[task] and (found < 0 or size[task] > size[found]):
            found = task
    return found


@inner
def _put(
    used: NDArray[np.float64],
    machine: int,
    start: int,
    end: int,
    use: NDArray[np.float64],
    sign: float,
) -> None:
    """Add what a task uses to its machine, or take it away again."""
    for resource in range(used.shape[1]):
        for slot in range(start, end):
            used[machine, resource, slot] += sign * use[resource]


@inner
def _next_option(
    option: int,
    costs: NDArray[np.float64],
    order: NDArray[np.int64],
    choices: int,
    length: int,
    use: NDArray[np.float64],
    room: NDArray[np.float64],
    used: NDArray[np.float64],
    most: float,
) -> int:
    """The first option from `option` on, a start's place in the order times M and a machine, that
    fits and costs less than `most`; -1 where there is none."""
    machines = len(room)
    while option < choices * machines:
        start, machine = order[option // machines], option % machines
        if costs[start] >= most:
            return -1
        if _fits(used, room, machine, start, start + length, use) and not _same_before(
            used, room, machine
        ):
            return option
        option += 1
    return -1


@kernel(error_model="numpy")
def cheapest_starts(
    costs: NDArray[np.float64],
    order: NDArray[np.int64],
    choices: NDArray[np.int64],
    length: NDArray[np.int64],
    use: NDArray[np.float64],
    room: NDArray[np.float64],
    gap: float,
    limit: int,
    starts: NDArray[np.int64],
) -> bool:
    """Write the starts (T,) of the cheapest schedule, -1 where none was found.

    Args: costs (T, H) of the starts, the `choices` (T,) of each task by cost in its `order` (T, H),
    lengths (T,) in slots, use (T, R), room (M, R) of the machines. Answers whether the search came
    to its end within `limit` nodes: then no schedule is cheaper by more than `gap`.
    """
    tasks, machines = len(costs), len(room)
    used = np.zeros((machines, room.shape[1], costs.shape[1]))
    size = use.sum(axis=1) * length
    placed, first = np.zeros(tasks, np.bool_), np.zeros((tasks + 1, tasks), np.int64)
    # Of each depth: the task that is placed there, its option, and what all others cost at least.
    chosen, option = np.zeros(tasks, np.int64), np.zeros(tasks, np.int64)
    here, others, spent = starts.copy(), np.zeros(tasks), np.zeros(tasks + 1)
    starts[:] = -1
    best, depth, entering = np.inf, 0, True
    while depth >= 0:
        found = -1
        if entering:
            limit -= 1
            if limit < 0:
                return False
            rest = _bound(costs, order, choices, length, use, room, used, placed, first[depth])
            going_on = spent[depth] + rest < best - gap
            if going_on and depth == tasks:
                best, starts[:] = spent[depth], here
                going_on = False
            if going_on:
                task = _largest(placed, size)
                cheapest = first[depth, task]
                chosen[depth], option[depth] = task, cheapest * machines
                others[depth] = spent[depth] + rest - costs[task, order[task, cheapest]]
        else:
            option[depth] += 1
            going_on = True
        if going_on:
            task = chosen[depth]
            found = _next_option(
                option[depth],
                costs[task],
                order[task],
                choices[task],
                length[task],
                use[task],
                room,
                used,
                best - gap - others[depth],
            )
        if found >= 0:
            option[depth] = found
            start, sign = order[task, found // machines], 1.0
            spent[depth + 1] = spent[depth] + costs[task, start]
            first[depth + 1] = first[depth]
        else:
            depth -= 1
            if depth < 0:
                break
            task, sign = chosen[depth], -1.0
            start = here[task]
        machine = option[depth] % machines
        _put(used, machine, start, start + length[task], use[task], sign)
        here[task], placed[task], entering = start, found >= 0, found >= 0
        if entering:
            depth += 1
    return True
