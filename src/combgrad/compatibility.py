"""Which parts fit which solver, checked when a layer is built rather than when it trains."""

from combgrad.arguments import Described
from combgrad.errors import IncompatibleError
from combgrad.solvers.base import Solver, Trait, checked_traits
from combgrad.solvers.checking import is_brought

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


#: Where both of these are missing, what helps against one of them needs the other.
NEITHER = frozenset({Trait.SHIFT_INVARIANT, Trait.SCALE_INVARIANT})


def _remedy(solver: Solver, missing: list[Trait]) -> str:
    """What to do about missing traits: to state them, where that is up to the user."""
    others = [REMEDIES[trait] for trait in missing]
    if {*missing} >= NEITHER:
        others = [
            "adding a constant to its costs, or scaling them, changes the solution; use "
            "projection none"
        ]
    if not _is_stated(solver):
        return f": {'; '.join(others)}"
    stated = " and ".join(f"Trait.{trait.name}" for trait in missing)
    choices = " or ".join(dict.fromkeys(other.rpartition("use ")[2] for other in others))
    return (
        f" by its traits: state {stated} there if it holds for all its solutions (combgrad.solvers."
        f"Trait says what it means), else use {choices}"
    )


def _is_stated(solver: Solver) -> bool:
    """Whether the traits of a solver, or of the one that is cached, are what the user says."""
    if is_brought(solver):
        return True
    inner = getattr(solver, "solver", None)
    return _is_stated(inner) if isinstance(inner, Solver) else "traits" in vars(solver)


def name_of(part: object) -> str:
    """The class name of a part, as it appears in messages."""
    return type(part).__name__


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
