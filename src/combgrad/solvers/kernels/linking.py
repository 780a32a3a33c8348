"""Functions that only compiled code calls: they get no machine code of their own.

numba optimises a function together with all that it calls and turns the whole into machine code,
and does so again for each of its callers. Of a function that Python never enters, no one runs the
machine code, and what was optimised is optimised once more where it is used, which is up to half of
the time that a solver takes to compile. Here such a function stays as its lowering left it, for its
callers to link in.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler


class _NoEnvironment:
    """Stands for the code generator, which would look for the function in the machine code."""

    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        """Nothing: compiled callers do not need it, since code that is loaded has none either."""


class _Linked(JITCodeLibrary):
    """What numba lowered a function and all that it calls to, for other libraries to link in."""

    codegen = _NoEnvironment()

    def _optimize_final_module(self) -> None:
        """Nothing: the caller's optimisation is of all that it has linked in."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """The null pointer, as numba says where there is no such entry."""
        del name
        self._ensure_finalized()
        return 0

    def serialize_using_object_code(self) -> Any:
        """What is kept on disk: there is no object code."""
        return self.serialize_using_bitcode()


class LinkedCompiler(Compiler):
    """numba's compiler, for a function that only compiled code calls."""

    def define_pipelines(self) -> Any:
        """numba's own passes, which fill a library of ours."""
        generator, name = self.state.targetctx.codegen(), self.state.func_id.func_qualname
        self.state.library = _Linked(generator, name)
        self.state.library.enable_object_caching()
        return super().define_pipelines()
