"""Whether an experiment can use the parts that were chosen, found before any data are touched."""

import contextlib
from collections.abc import Callable, Iterable

from torch import Tensor, nn

from combgrad.compatibility import name_of
from combgrad.errors import IncompatibleError, SolverInputError
from combgrad.experiments.looking import only_looking
from combgrad.gradients import Identity
from combgrad.labels import check_needs
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Loss
from combgrad.solvers import Solver
from combgrad.solvers.solution_pool import pool_of


def check_choices(
    task: str, layer: CombinatorialLayer, loss: Loss | None, provides: Iterable[str] | None
) -> None:
    """Raise IncompatibleError where a task cannot train what was chosen, with the remedy.

    `provides` is None for a task whose loss is its own.
    """
    own_loss, provides = provides is None, frozenset(provides or ())
    if layer.margin is not None:
        remedy = "use margin=noise or margin=none"
        check_needs(f"{name_of(layer.margin)} of {task}", layer.margin.needs, provides, remedy)
    if loss is None:
        if not own_loss:
            raise IncompatibleError(f"{task} has no loss of its own; choose one, as loss=hamming.")
        return
    if own_loss:
        raise IncompatibleError(
            f"{task} has a loss of its own, which {name_of(loss)} cannot replace; leave out loss=."
        )
    check_needs(f"{name_of(loss)} of {task}", loss.needs, provides, "choose another loss")
    loss.check_solver(layer.solver)
    if not (loss.through_layer or isinstance(layer.gradient, Identity)):
        raise IncompatibleError(
            f"{name_of(loss)} is a loss of the costs and asks no gradient method, so "
            f"{name_of(layer.gradient)} would be ignored; leave out grad=, or take a loss of the "
            f"solution such as loss=hamming."
        )


def refuse_parts(layer: CombinatorialLayer, what: str, other: str) -> None:
    """IncompatibleError for a choice that nothing reads; `what` is trained without the layer."""
    choices = (layer.projection, layer.margin, layer.gradient_noise)
    if choices != (None, None, None) or not isinstance(layer.gradient, Identity):
        raise IncompatibleError(
            f"{what} has no gradient through a solver, so it would ignore the choice of grad, "
            f"proj, margin or corruption.gradient_sigma. Leave them out, or use {other}."
        )


def check_solves(solver: Solver, right: Callable[[], bool], told: str) -> None:
    """IncompatibleError unless a small problem is solved; `told` is what it does not, and a remedy.

    `right` asks the solver; one that cannot take the problem does not solve it.
    """
    pool = pool_of(solver)
    try:
        # The small problem is not one that the pool is of.
        with contextlib.nullcontext() if pool is None else only_looking(pool):
            solves = right()
    except (SolverInputError, TypeError, RuntimeError):
        solves = False
    if not solves:
        raise IncompatibleError(f"{solver.own_name} does not {told}")


def check_has(net: nn.Module, names: Iterable[str], option: str) -> None:
    """IncompatibleError unless a network has these parts; `option` is one that has them."""
    missing = [name for name in names if not hasattr(net, name)]
    if missing:
        raise IncompatibleError(
            f"model: {type(net).__name__} has no {' and no '.join(missing)}, which this experiment "
            f"needs; choose {option}."
        )


def check_forward(net: nn.Module, option: str) -> None:
    """IncompatibleError for a network that is made of parts and answers nothing as a whole."""
    if type(net).forward is nn.Module.forward:
        raise IncompatibleError(
            f"model: {type(net).__name__} has no forward, which this experiment needs; choose "
            f"{option}."
        )


def check_answers(net: nn.Module, images: Tensor, shape: tuple[int, ...], option: str) -> None:
    """IncompatibleError unless a network answers images with numbers of this shape."""
    check_forward(net, option)
    try:
        with only_looking(net):
            found = tuple(net(images).shape)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise IncompatibleError(
            f"model: {type(net).__name__} cannot take images {tuple(images.shape)} ({reason}); "
            f"choose {option}."
        ) from error
    if found != shape:
        raise IncompatibleError(
            f"model: {type(net).__name__} answers images with shape {found}, and this experiment "
            f"needs {shape}; choose {option}."
        )
