"""Any function of one numpy instance as a solver, in this process or in a pool of them."""

import contextlib
import pickle
import traceback
import weakref
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from torch import Tensor

from combgrad.errors import SolverFailedError
from combgrad.solvers.base import Solver, Trait, to_array, to_tensor

Function = Callable[..., np.ndarray]
Task = tuple[np.ndarray, dict[str, Any]]


@dataclass(frozen=True)
class _Failure:
    """An exception on its way out of a worker."""

    error: Exception


Answers = Generator[np.ndarray | _Failure, None, None]

#: The function of this process, where it is a worker.
_function: Function | None = None


def _start_worker(function: Function) -> None:
    global _function
    _function = function


def _run_task(task: Task) -> np.ndarray | _Failure:
    """The answer to one instance in a worker, or why there is none."""
    assert _function is not None, "a worker starts with _start_worker"
    try:
        return np.asarray(_function(task[0], **task[1]), dtype=np.float64)
    except Exception as error:
        where = f"in a worker process:\n{traceback.format_exc()}"
        try:
            # An exception that cannot be rebuilt from its pickle would break the whole pool.
            error = pickle.loads(pickle.dumps(error))
        except Exception:
            error = RuntimeError(repr(error))
        error.add_note(where)
        return _Failure(error)


class FunctionSolver(Solver):
    """What `from_function` returns."""

    def __init__(self, f: Function, traits: Iterable[Trait] = (), processes: int = 0) -> None:
        super().__init__()
        if processes < 0:
            raise ValueError(f"processes is {processes}; use 0 for this process, or a number.")
        if processes:
            try:
                pickle.dumps(f)
            except Exception as error:
                raise ValueError(
                    f"f cannot be sent to other processes ({error}); define it with def at the "
                    f"top of a module, or use processes=0."
                ) from error
        self.f, self.traits, self.processes = f, frozenset(traits), processes
        self._pool: ProcessPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A pool belongs to its process; a copy builds its own.
        return self.__dict__ | {"_pool": None}

    def _solve(self, costs: Tensor, **instance: Any) -> Tensor:
        array = to_array(costs)
        solutions = np.empty_like(array)
        tasks = [
            (costs_of_one.copy(), _share(instance, index, len(array)))
            for index, costs_of_one in enumerate(array)
        ]
        answers = self._run_in_pool(tasks) if self.processes else self._run_here(tasks)
        with contextlib.closing(answers):
            for index, answer in enumerate(answers):
                solutions[index] = self._checked(answer, index, array.shape[1:])
        return to_tensor(solutions, like=costs)

    def _run_here(self, tasks: list[Task]) -> Answers:
        for costs, instance in tasks:
            try:
                yield np.asarray(self.f(costs, **instance), dtype=np.float64)
            except Exception as error:
                yield _Failure(error)

    def _run_in_pool(self, tasks: list[Task]) -> Answers:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.processes, get_context("spawn"), _start_worker, (self.f,)
            )
            weakref.finalize(self, self._pool.shutdown, wait=False, cancel_futures=True)
        # A few portions for each worker: little traffic, and nobody waits long for the last one.
        portion = -(-len(tasks) // (4 * self.processes))
        try:
            yield from self._pool.map(_run_task, tasks, chunksize=portion)
        except BrokenProcessPool as error:
            self._pool = None
            raise SolverFailedError(
                f"{self._name()}: a worker process died, or could not start; look for a crash or "
                f"a lack of memory, guard scripts by if __name__ == '__main__', or use processes=0."
            ) from error

    def _checked(
        self, answer: np.ndarray | _Failure, index: int, shape: tuple[int, ...]
    ) -> np.ndarray:
        """The answer, which must be finite and of this shape; SolverFailedError otherwise."""
        if isinstance(answer, _Failure):
            raise SolverFailedError(
                f"{self._name()} failed for batch index {index} with "
                f"{type(answer.error).__name__}: {answer.error}. It got a float64 array of shape "
                f"{shape} and must return one; the traceback above shows where it stopped."
            ) from answer.error
        if answer.shape != shape:
            raise SolverFailedError(
                f"{self._name()} returned shape {answer.shape} for batch index {index}; it must "
                f"return one solution for one instance, shape {shape}."
            )
        if not np.isfinite(answer).all():
            raise SolverFailedError(
                f"{self._name()} returned NaN or inf for batch index {index}; it must return a "
                f"solution or raise an exception."
            )
        return answer

    def _name(self) -> str:
        return f"from_function({getattr(self.f, '__name__', type(self.f).__name__)})"


def _share(instance: dict[str, Any], index: int, batch: int) -> dict[str, Any]:
    """The keyword arguments of one instance: its entry of those that have one for each."""
    share = {}
    for name, value in instance.items():
        if isinstance(value, Tensor | np.ndarray) and value.ndim and len(value) == batch:
            value = value[index]
            value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        share[name] = value
    return share


def from_function(f: Function, traits: Iterable[Trait] = (), processes: int = 0) -> FunctionSolver:
    """A solver from a function of one instance: y(w)_b = f(w_b).

    `f(costs, **instance)` gets a float64 array (*S) of its own and returns an array (*S). Keyword
    arguments of a call that are tensors or arrays with the batch as first axis reach `f` as the
    array of its instance, everything else as it is.

    Args:
        f: the function, which should minimise <w, y> exactly and be deterministic.
        traits: what the caller knows of its solutions, see `Trait`.
        processes: how many worker processes share a batch; they are started at the first call and
            need an `f` that can be pickled. 0 for none.

    Raises SolverFailedError, naming the batch index, where `f` raises (the cause is kept) or
    returns a wrong shape, NaN or inf.
    """
    return FunctionSolver(f, traits, processes)
