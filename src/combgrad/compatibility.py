"""Which parts fit which solver, checked when a layer is built rather than when it trains."""

from typing import Protocol

import torch
from torch import Tensor

from combgrad.errors import IncompatibleError
from combgrad.solvers.base import Solver, Trait, checked_traits


class Part(Protocol):
    """A projection, margin or gradient method: what it needs of the solver it is combined with."""

    requires: frozenset[Trait]


REMEDIES: dict[Trait, str] = {
    Trait.SHIFT_INVARIANT: (
        "its solutions differ in size, so adding a constant to all costs changes the solution; "
        "use projection none or Norm()"
    ),
    Trait.SCALE_INVARIANT: (
        "scaling its costs changes the solution; use projection none or Mean()"
    ),
    Trait.SUBSET_VALUED: (
        "not every choice of k out of its n entries is a solution, so a softmax over the entries "
        "does not describe them; use Identity(), Blackbox(), IMLE() or Perturbed()"
    ),
}


def name_of(part: object) -> str:
    """The class name of a part, as it appears in messages."""
    return type(part).__name__


def check_kinds(*parts: tuple[object, str, type]) -> None:
    """Raise IncompatibleError for a part (part, its name, its class) of the wrong kind.

    None stands for an absent projection or margin.
    """
    for part, name, kind in parts:
        if isinstance(part, kind) or (part is None and name in ("projection", "margin")):
            continue
        hint = (
            f"pass an instance, {part.__name__}(...)"
            if isinstance(part, type)
            else ("the order is solver, gradient, projection, margin")
        )
        if name == "solver" and callable(part) and not isinstance(part, type):
            hint = "wrap a plain function with combgrad.solvers.from_function"
        raise IncompatibleError(f"{name} is {part!r}, not a {kind.__name__}: {hint}.")


def missing_traits(part: Part, solver: Solver) -> list[Trait]:
    """The traits that `part` requires and `solver` does not have, in a fixed order."""
    needed = checked_traits(name_of(part), part.requires)
    return sorted(needed - checked_traits(name_of(solver), solver.traits), key=lambda t: t.name)


def check_compatible(solver: Solver, *parts: Part | None) -> None:
    """Raise IncompatibleError, with the remedy, unless every part fits the solver.

    A part fits where `part.requires - solver.traits` is empty and, for a projection along a
    normal `a` (`part.normal`), where <a, y> is the same for every solution y.
    """
    for part in parts:
        if part is None:
            continue
        missing = missing_traits(part, solver)
        if missing:
            reasons = "; ".join(REMEDIES[trait] for trait in missing)
            names = ", ".join(trait.name.lower() for trait in missing)
            raise IncompatibleError(
                f"{name_of(part)} needs a solver that is {names}, "
                f"and {name_of(solver)} is not: {reasons}."
            )
        normal = getattr(part, "normal", None)
        if isinstance(normal, Tensor) and not solver.is_constant_on(normal.to(torch.float64)):
            raise IncompatibleError(
                f"{name_of(part)} removes the direction of its normal `a`, which keeps the "
                f"solution only where <a, y> is the same for all solutions; for {name_of(solver)} "
                f"and this `a` it is not. Choose another `a`, or Mean(), Norm() or none."
            )
