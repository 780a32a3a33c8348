"""Which parts fit which solver, checked when a layer is built rather than when it trains."""

from typing import NamedTuple

from combgrad.arguments import Described
from combgrad.errors import IncompatibleError
from combgrad.solvers.base import Solver, Trait, checked_traits
from combgrad.solvers.checking import is_brought


class Remedy(NamedTuple):
    """Why a solver without a trait does not do, and what to use instead."""

    why: str
    instead: str


REMEDIES: dict[Trait, Remedy] = {
    Trait.SHIFT_INVARIANT: Remedy(
        "its solutions differ in size, so adding a constant to all costs changes the solution",
        "projection none or Norm()",
    ),
    Trait.SCALE_INVARIANT: Remedy(
        "scaling its costs changes the solution", "projection none or Mean()"
    ),
    Trait.SUBSET_VALUED: Remedy(
        "not every choice of k out of its n entries is a solution, so a softmax over the entries "
        "does not describe them",
        "Identity(), Blackbox(), IMLE() or Perturbed()",
    ),
}

#: For a solver without both of these traits: what helps against one of them needs the other.
NEITHER = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})
FOR_NEITHER = Remedy(
    "adding a constant to its costs, or scaling them, changes the solution", "projection none"
)


def _remedy(solver: Solver, missing: list[Trait]) -> str:
    """What to do about missing traits: to state them, where that is up to the user."""
    remedies = [FOR_NEITHER] if {*missing} >= NEITHER else [REMEDIES[trait] for trait in missing]
    if not _is_stated(solver):
        return f": {'; '.join(f'{why}; use {instead}' for why, instead in remedies)}"
    stated = " and ".join(f"Trait.{trait.name}" for trait in missing)
    return (
        f" by its traits: state {stated} there if it holds for all its solutions (combgrad.solvers."
        f"Trait says what it means), else use {' or '.join(one.instead for one in remedies)}"
    )


def _is_stated(solver: Solver) -> bool:
    """Whether the traits of a solver, or of the one that is cached, are what the user says."""
    if is_brought(solver):
        return True
    inner = getattr(solver, "solver", None)
    return _is_stated(inner) if isinstance(inner, Solver) else "traits" in vars(solver)


def name_of(part: object) -> str:
    """A part's name, as it appears in messages."""
    return part.own_name if isinstance(part, Described) else type(part).__name__


#: Parts that a layer may be without.
OPTIONAL = ("projection", "margin", "gradient_noise")


def check_kinds(*parts: tuple[object, str, type]) -> None:
    """Raise IncompatibleError for a part (part, its name, its class) of the wrong kind.

    None stands for an absent projection, margin or noise.
    """
    for part, name, kind in parts:
        if isinstance(part, kind) or (part is None and name in OPTIONAL):
            continue
        hint = (
            f"pass an instance, {part.__name__}(...)"
            if isinstance(part, type)
            else ("the order is solver, gradient, projection, margin")
        )
        if name == "solver" and callable(part) and not isinstance(part, type):
            hint = "wrap a plain function with combgrad.solvers.from_function"
        raise IncompatibleError(f"{name} is {part!r}, not a {kind.__name__}: {hint}.")


#: Solvers with a linear relaxation, for messages.
RELAXED = (
    "TSP(), Assignment(), Alignment(), TopK(k), Knapsack(...), ILP(...) and "
    "GraphShortestPath(..., directed=True)"
)


def check_relaxation(part: str, solver: Solver) -> None:
    """Raise IncompatibleError, naming the part, for a solver without a linear relaxation."""
    if solver.unrelaxed is not None:
        raise IncompatibleError(
            f"{part} needs the linear relaxation of a solver, and {name_of(solver)} has none: "
            f"{solver.unrelaxed}. Those of {RELAXED} are known."
        )


class Part(Described):
    """A projection, margin or gradient method: what it needs of the solver it is combined with."""

    requires: frozenset[Trait] = frozenset()

    def check_solver(self, solver: Solver) -> None:
        """Raise IncompatibleError, with the remedy, unless the solver has the traits it requires.

        A part that needs more of a solver overrides this.
        """
        needed = checked_traits(name_of(self), self.requires)
        missing = needed - checked_traits(name_of(solver), solver.traits)
        if missing:
            ordered = sorted(missing, key=lambda trait: trait.name)
            names = ", ".join(trait.name.lower() for trait in ordered)
            raise IncompatibleError(
                f"{name_of(self)} needs a solver that is {names}, and {name_of(solver)} is not"
                f"{_remedy(solver, ordered)}."
            )
