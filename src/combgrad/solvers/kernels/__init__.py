"""Compiled inner loops: pure functions of arrays, compiled when they are first called.

numba is loaded then, too: to import all solvers takes a tenth of a second, and to load numba and
to prepare all that is here half a second more.
"""

import functools
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any

import torch

#: One thread at a time prepares kernels, and numba's workqueue layer takes one parallel kernel.
_preparing, _running = threading.RLock(), threading.Lock()

#: numba's `prange`, which takes its place in compiled code.
prange = range


def _new_locks() -> None:
    global _preparing, _running
    _preparing, _running = threading.RLock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    # A thread that held one of them does not exist in the child.
    os.register_at_fork(after_in_child=_new_locks)


class Kernel:
    """A function that numba compiles; `compiled` is what runs it, None before the first call."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options
        self.dispatcher: Any = None
        self.compiled: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        compiled = self.compiled
        if compiled is None:
            compiled = self.prepare()
        return compiled(*arguments)

    def prepare(self) -> Callable[..., Any]:
        """Load numba, and let it know this kernel and all that it may call."""
        with _preparing:
            if self.compiled is None:
                _replace_kernels(self.function.__globals__)
                dispatcher, parallel = self.made(), self.options.get("parallel")
                self.compiled = _one_at_a_time(dispatcher) if parallel else dispatcher
            return self.compiled

    def made(self) -> Any:
        """What numba makes of the function, which compiled callers need in its place."""
        if self.dispatcher is None:
            compiling = importlib.import_module(f"{__name__}.compiling")
            self.dispatcher = compiling.make(self.function, self.options)
        return self.dispatcher


def _replace_kernels(names: dict[str, Any]) -> None:
    """Put what numba makes of them in the place of the kernels that a module names.

    Those that they need come first, so that an interruption leaves nothing that is half done.
    """
    for name, value in list(names.items()):
        if name == "prange":
            names[name] = importlib.import_module("numba").prange
        elif isinstance(value, Kernel):
            if value.function.__globals__ is not names:
                _replace_kernels(value.function.__globals__)
            made = value.made()
            if not value.options.get("parallel"):
                names[name] = made


def _one_at_a_time(dispatcher: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        with _running:
            threads = torch.get_num_threads()
            try:
                return dispatcher(*arguments)
            finally:
                if torch.get_num_threads() != threads:
                    torch.set_num_threads(threads)

    return run


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator that compiles as `numba.njit(**options)` does, keeping the code where it can.

    With `parallel=True` one call runs at a time; others wait for it, in this process. It leaves
    torch the number of threads that it had, which numba changes where both use one OpenMP. With
    `inner=True` only compiled code can call it: no entry from Python and, by `linking.py`, no
    machine code of its own, which together saves more than half of the time that it compiles.
    """
    return functools.partial(Kernel, options=options)


#: For functions that only compiled code calls.
inner = kernel(inner=True, error_model="numpy")
