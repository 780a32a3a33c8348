"""A PyEPO model as a solver, for models that have no native one."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from combgrad.errors import IncompatibleError
from combgrad.solvers.base import Trait
from combgrad.solvers.function import FunctionSolver, from_function
from combgrad.solvers.threads import Turn


class _Model:
    """A function of one instance, by what every optModel has."""

    def __init__(self, model: Any) -> None:
        self.model, self.__name__ = model, type(model).__name__
        self._turn = Turn()

    def __call__(self, costs: np.ndarray) -> np.ndarray:
        # PyEPO's sense is 1 to minimise and -1 to maximise.
        with self._turn:
            self.model.setObj(int(self.model.modelSense) * costs)
            solution, _ = self.model.solve()
        return np.asarray(solution, dtype=np.float64)


def _predicts_all(model: Any) -> bool:
    """Whether the objective is that of the predicted costs alone, one for each variable in turn."""
    predicted = getattr(model, "c_pred_index", None)
    if predicted is None:
        return True
    # A model that is compiled from the language of PyEPO says it of every problem.
    problem = getattr(model, "problem", None)
    return (
        problem is not None
        and np.array_equal(predicted, np.arange(problem.num_vars))
        and not np.any(getattr(problem, "fixed_cost", 0))
        and getattr(problem, "obj_Q", None) is None
    )


def from_pyepo(model: Any, traits: Iterable[Trait] = ()) -> FunctionSolver:
    """A solver from a PyEPO optModel: y(w) = argmin <w, y> over the model's feasible set.

    Costs (B, n) for the n = `model.num_cost` costs of the model, solved one by one. A model that
    maximises values v gets v = -w, so pass w = -v. What PyEPO returns is taken as it is.

    Args:
        model: has `setObj(costs)`, `solve()` and `modelSense`, as every optModel of PyEPO.
        traits: what the caller knows of its solutions, see `Trait`.

    Raises IncompatibleError for what is no such model, and for one with costs that are not
    predicted; a call raises SolverFailedError, naming the batch index, where the model has no
    solution.
    """
    needed = ("setObj", "solve", "modelSense")
    if isinstance(model, type) or not all(hasattr(model, name) for name in needed):
        raise IncompatibleError(
            f"from_pyepo: {model!r} is no model with {', '.join(needed)}; pass an instance of an "
            f"optModel, such as shortestPathModel((5, 5))."
        )
    if not _predicts_all(model):
        raise IncompatibleError(
            f"from_pyepo: {type(model).__name__} knows costs beside the predicted ones, and the "
            f"objective of a solver is <w, y>, with one cost for each entry of its answer; let it "
            f"predict all of them, with the known ones as constants of the network."
        )
    return from_function(_Model(model), traits=traits)
