"""Which parts fit which solver, checked when a layer is built rather than when it trains."""

from combgrad.arguments import Described
from combgrad.errors import IncompatibleError
from combgrad.solvers.base import Solver, Trait, checked_traits

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
                f"{name_of(self)} needs a solver that is {names}, and {name_of(solver)} is not: "
                f"{'; '.join(REMEDIES[trait] for trait in ordered)}."
            )
