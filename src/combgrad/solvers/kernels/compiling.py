"""How a kernel is compiled by numba, which is loaded when the first one is called."""

import gc
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import event
from numba.core.types import unliteral

from combgrad.solvers.kernels.keeping import keep, place
from combgrad.solvers.kernels.linking import LinkedCompiler
from combgrad.solvers.notices import compilation

#: numba's options for a function that only compiled code calls.
INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": LinkedCompiler}


class _Listener(event.Listener):
    """Tells the notices when numba compiles."""

    def on_start(self, event: Any) -> None:
        del event
        compilation.begin()

    def on_end(self, event: Any) -> None:
        del event
        compilation.end()


def _take_numbers_alike(dispatcher: Any) -> None:
    """Let compiled callers that pass a constant share the code with those that pass a variable."""
    template = dispatcher.get_call_template

    def for_any_number(arguments: Any, named: Any) -> Any:
        plain = {name: unliteral(kind) for name, kind in named.items()}
        return template(tuple(map(unliteral, arguments)), plain)

    dispatcher.get_call_template = for_any_number


def _without_collecting(compile_for: Callable[..., Any]) -> Callable[..., Any]:
    """The same with Python's garbage collector at rest: compiling makes millions of objects, and to
    look through all that lives again and again takes an eighth to a sixth of its time."""

    def run(*arguments: Any) -> Any:
        if not gc.isenabled():
            return compile_for(*arguments)
        gc.disable()
        try:
            return compile_for(*arguments)
        finally:
            gc.enable()

    return run


def make(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """What runs a function compiled; the function itself with NUMBA_DISABLE_JIT, for debugging."""
    numbas = {name: value for name, value in options.items() if name != "inner"}
    if options.get("inner"):
        numbas |= INNER
    dispatcher = njit(**numbas)(function)
    if dispatcher is not function:
        _take_numbers_alike(dispatcher)
        dispatcher.compile = _without_collecting(dispatcher.compile)
        folder = place()
        if folder is not None:
            keep(dispatcher, folder)
    return dispatcher


event.register("numba:compile", _Listener())
