"""Any function of one numpy instance as a solver, in this process or in a pool of them."""

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import connection, current_process, get_context, parent_process
from multiprocessing.util import Finalize
from typing import Any

import numpy as np
from torch import Tensor

from combgrad.errors import SolverFailedError, SolverInputError
from combgrad.instances import VALID, Instances, further_arguments
from combgrad.solvers.arrays import to_array, to_tensor
from combgrad.solvers.base import Solver, Trait, checked_traits

Function = Callable[..., np.ndarray]
Task = tuple[np.ndarray, dict[str, Any]]


@dataclass(frozen=True)
class _Failure:
    """An exception on its way out of a worker, or `sys.exit`."""

    error: BaseException


Answers = Generator[np.ndarray | _Failure, None, None]

#: The function of this process, where it is a worker.
_function: Function | None = None


def _start_worker(function: Function) -> None:
    global _function
    _function = function
    # Ctrl-C reaches the workers too; the process they work for decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone, however it ended."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _as_array(answer: Any) -> np.ndarray:
    """What a function answered; TypeError for nothing, which would become NaN."""
    if answer is None:
        raise TypeError("it returned None, as a function without `return` does")
    return np.asarray(answer, dtype=np.float64)


def _run_task(task: Task) -> np.ndarray | _Failure:
    """The answer to one instance in a worker, or why there is none."""
    assert _function is not None, "a worker starts with _start_worker"
    try:
        return _as_array(_function(task[0], **task[1]))
    except (Exception, SystemExit) as error:
        where = f"in a worker process:\n{traceback.format_exc()}"
        sent: BaseException
        try:
            # An exception that cannot be rebuilt from its pickle would break the whole pool.
            sent = pickle.loads(pickle.dumps(error))
        except Exception:
            sent = RuntimeError(repr(error))
        sent.add_note(where)
        return _Failure(sent)


class _Pool:
    """Worker processes that know a function; they start when they are first asked."""

    def __init__(self, f: Function, processes: int) -> None:
        self.owner, self.known = os.getpid(), pickle.dumps((f, processes))
        self.executor = ProcessPoolExecutor(processes, get_context("spawn"), _start_worker, (f,))

    def serves(self, f: Function, processes: int) -> bool:
        """Whether the workers are this process's, not those of a parent, and know `f` as it is."""
        return self.owner == os.getpid() and self.known == pickle.dumps((f, processes))

    def stop(self) -> None:
        """End the workers at once, whatever they do; a fork leaves those of its parent alone."""
        if os.getpid() == self.owner:
            workers = list((self.executor._processes or {}).values())
            self.executor.shutdown(wait=False, cancel_futures=True)
            for worker in workers:
                worker.terminate()


class FunctionSolver(Solver):
    """What `from_function` returns."""

    def __init__(
        self,
        f: Function,
        traits: Iterable[Trait] = (),
        processes: int = 0,
        batched: Collection[str] | None = None,
    ) -> None:
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
            if _was_typed(f):
                raise ValueError(
                    "f was typed into a notebook or an interpreter, which other processes do not "
                    "see; put it into a module of yours and import it, or use processes=0."
                )
        self.f, self.processes = f, processes
        self.traits = checked_traits(self.own_name, traits)
        self.batched = None if batched is None else as_names(batched)
        self.per_row = dict.fromkeys(self.batched or ())
        self._names = further_arguments(f, after=1)
        self._pool: _Pool | None = None

    def __getstate__(self) -> dict[str, Any]:
        # A pool belongs to its process; a copy builds its own.
        return self.__dict__ | {"_pool": None}

    @property
    def shared(self) -> Collection[str] | None:
        """The arguments of `f` that hold for all instances; None where it takes any."""
        return None if self._names is None else self._names - {*self.per_row}

    def describe(
        self,
        costs: Tensor,
        instances: Instances | None = None,
        named: Mapping[str, Any] | None = None,
    ) -> Instances:
        """See `Solver.describe`; refuses an array as long as the batch of which nothing is said."""
        if self.batched is None:
            for name, value in (named or {}).items():
                array = isinstance(value, Tensor | np.ndarray) and value.ndim and name != VALID
                if array and len(value) == len(costs):
                    raise SolverInputError(
                        f"{self.own_name}: the first axis of {name!r} is as long as the batch, "
                        f"{len(costs)}, which may be chance; say from_function(f, "
                        f"batched=({name!r},)) where it has one entry for each instance, "
                        f"batched=() where all share it."
                    )
        return super().describe(costs, instances, named)

    def _solve(self, costs: Tensor, **entries: Any) -> Tensor:
        array = to_array(costs)
        of_each = {name: entries.pop(name) for name in self.per_row if name in entries}
        solutions = np.empty_like(array)
        tasks = [
            (row.copy(), entries | {name: _entry(value[b]) for name, value in of_each.items()})
            for b, row in enumerate(array)
        ]
        # A daemon may have no children: a worker of a DataLoader does the work itself.
        in_pool = self.processes and not current_process().daemon
        answers = self._run_in_pool(tasks) if in_pool else self._run_here(tasks)
        try:
            with contextlib.closing(answers):
                for index, answer in enumerate(answers):
                    solutions[index] = self._checked(answer, index, array.shape[1:])
        except KeyboardInterrupt:
            if self._pool is not None:
                self._pool.stop()
                self._pool = None
            raise
        found = to_tensor(solutions, like=costs)
        lost = ~found.isfinite().flatten(1).all(dim=1)
        if bool(lost.any()):
            raise SolverInputError(
                f"{self.own_name}: the solution of batch index {int(lost.nonzero()[0])} has an "
                f"entry that {costs.dtype} cannot hold; use costs.float()."
            )
        return found

    def _run_here(self, tasks: list[Task]) -> Answers:
        for costs, instance in tasks:
            try:
                yield _as_array(self.f(costs, **instance))
            except (Exception, SystemExit) as error:
                yield _Failure(error)

    def _run_in_pool(self, tasks: list[Task]) -> Answers:
        pool = self._pool
        if pool is None or not pool.serves(self.f, self.processes):
            if pool is not None:
                pool.stop()
            pool = self._pool = _Pool(self.f, self.processes)
            # With a priority, since a process that ends waits for its children before all else.
            Finalize(self, pool.stop, exitpriority=10)
        # A few portions for each worker: little traffic, and nobody waits long for the last one.
        portion = -(-len(tasks) // (4 * self.processes))
        try:
            yield from pool.executor.map(_run_task, tasks, chunksize=portion)
        except BrokenProcessPool as error:
            self._pool = None
            raise SolverFailedError(
                f"{self.own_name}: a worker process died, or could not start; look for a crash or "
                f"a lack of memory, guard scripts by if __name__ == '__main__', or use processes=0."
            ) from error

    def _checked(
        self, answer: np.ndarray | _Failure, index: int, shape: tuple[int, ...]
    ) -> np.ndarray:
        """The answer, which must be finite and of this shape; SolverFailedError otherwise."""
        if isinstance(answer, _Failure):
            raise SolverFailedError(
                f"{self.own_name} failed for batch index {index} with "
                f"{type(answer.error).__name__}: {answer.error}. It got a float64 array of shape "
                f"{shape} and must return one; the traceback above shows where it stopped."
            ) from answer.error
        if answer.shape != shape:
            raise SolverFailedError(
                f"{self.own_name} returned shape {answer.shape} for batch index {index}; it must "
                f"return one solution for one instance, shape {shape}."
            )
        if not np.isfinite(answer).all():
            raise SolverFailedError(
                f"{self.own_name} returned NaN or inf for batch index {index}; it must return a "
                f"solution or raise an exception."
            )
        return answer

    @property
    def own_name(self) -> str:
        """See `Described.own_name`: the function, by its name."""
        return f"from_function({getattr(self.f, '__name__', type(self.f).__name__)})"


def _was_typed(f: Function) -> bool:
    """Whether a function is of a main program that lies in no file, for new processes to read."""
    main = sys.modules["__main__"]
    of_file = getattr(main, "__spec__", None) is not None or hasattr(main, "__file__")
    return not of_file and "__main__" in (getattr(f, "__module__", ""), type(f).__module__)


def as_names(batched: Collection[str]) -> frozenset[str]:
    """The names of keyword arguments, or ValueError for a bare string, a collection of letters."""
    if isinstance(batched, str):
        raise ValueError(f"batched is {batched!r}; pass the names as a tuple, ({batched!r},).")
    return frozenset(batched)


def _entry(value: Any) -> Any:
    """One entry of a batch, of its own: what `f` does to it stays there."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    return value.copy() if isinstance(value, np.ndarray) else value


def from_function(
    f: Function,
    traits: Iterable[Trait] = (),
    processes: int = 0,
    batched: Collection[str] | None = None,
) -> FunctionSolver:
    """A solver from a function of one instance: y(w)_b = f(w_b).

    `f(costs, **instance)` gets a float64 array (*S) of its own and returns an array (*S). Of the
    keyword arguments of a call those in `batched` reach `f` as the entry of its instance, tensors
    as arrays, and all others as they are.

    Args:
        f: the function, which should minimise <w, y> exactly and be deterministic.
        traits: what the caller knows of its solutions, see `Trait`.
        processes: how many worker processes share a batch; they are started at the first call and
            need an `f` that can be pickled, in a notebook one that is imported. 0 for none. A
            daemonic process, such as a worker of a DataLoader, does the work itself.
        batched: the names of the keyword arguments with one entry for each instance. Without it a
            tensor or array whose first axis is as long as the batch is refused: nobody can tell
            whether all instances share it.

    Raises SolverFailedError, naming the batch index, where `f` raises (the cause is kept), calls
    sys.exit, or returns a wrong shape, NaN or inf, and SolverInputError for costs of a dtype that
    cannot hold its answer.
    """
    return FunctionSolver(f, traits, processes, batched)
