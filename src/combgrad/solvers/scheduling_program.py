"""Tasks on machines as an integer program, for HiGHS as scipy has it."""

import numpy as np
import scipy

from combgrad.errors import SolverFailedError

#: What scipy answers for an optimum, and for a program without solutions.
_OPTIMAL, _INFEASIBLE = 0, 2


def starts_by_program(
    costs: np.ndarray, length: np.ndarray, use: np.ndarray, room: np.ndarray
) -> np.ndarray | None:
    """The starts (T,) of the cheapest schedule, or None where there is none.

    One variable for each task, machine and start, x_tms: each task has one, and in every slot the
    tasks that run on a machine use what it has at most. Costs (T, H) are those of the starts, inf
    where a task may not start; lengths (T,), use (T, R), room (M, R). Raises SolverFailedError.
    """
    machines, resources = room.shape
    tasks, slots = costs.shape
    task, start = np.nonzero(np.isfinite(costs))
    task, start, machine = (
        np.repeat(task, machines),
        np.repeat(start, machines),
        np.tile(np.arange(machines), len(task)),
    )
    variables = len(task)
    # A variable takes part in a row of its machine in every slot of its task, for each resource.
    each = np.repeat(np.arange(variables), length[task])
    ends = np.cumsum(length[task])
    slot = start[each] + np.arange(len(each)) - (ends - length[task])[each]
    rows, columns, values = [task], [np.arange(variables)], [np.ones(variables)]
    for resource in range(resources):
        rows.append(tasks + (machine[each] * resources + resource) * slots + slot)
        columns.append(each)
        values.append(use[task[each], resource])
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    matrix = scipy.sparse.coo_array(
        entries, shape=(tasks + machines * resources * slots, variables)
    ).tocsr()
    most = np.concatenate([np.ones(tasks), np.repeat(room.ravel(), slots)])
    least = np.concatenate([np.ones(tasks), np.full(len(most) - tasks, -np.inf)])
    size = np.abs(costs[task, start]).max(initial=0.0) or 1.0
    found = scipy.optimize.milp(
        costs[task, start] / size,
        integrality=np.ones(variables),
        bounds=scipy.optimize.Bounds(0, 1),
        constraints=scipy.optimize.LinearConstraint(matrix, least, most),
        options={"mip_rel_gap": 0.0},
    )
    if found.status == _INFEASIBLE:
        return None
    if found.status != _OPTIMAL:
        raise SolverFailedError(
            f"EnergyScheduling: HiGHS ended without a schedule ({found.message}); choose fewer "
            f"tasks, or a larger search_nodes."
        )
    starts = np.empty(tasks, dtype=np.int64)
    running = found.x > 0.5
    starts[task[running]] = start[running]
    return starts
