"""Traits are members of Trait, or refused where they are stated."""

import pytest
import torch

from combgrad import CombinatorialLayer
from combgrad.gradients import Identity
from combgrad.projections import Mean
from combgrad.solvers import ILP, Solver, Trait, from_function


def identity(costs):
    return costs


def test_strings_are_refused_when_a_class_is_made():
    with pytest.raises(TypeError, match=r"Mine: traits hold 'shift_invariant'.*Trait.SHIFT_INV"):

        class Mine(Solver):
            traits = frozenset({"shift_invariant"})

            def _solve(self, costs):
                return costs


@pytest.mark.parametrize("traits", [["scale_invariant"], "scale_invariant", {"Trait.X"}, [1]])
def test_strings_are_refused_at_construction(traits):
    with pytest.raises(TypeError, match=r"from_function\(identity\): traits hold .*solvers.Trait"):
        from_function(identity, traits=traits)
    with pytest.raises(TypeError, match="ILP: traits hold"):
        ILP([[1.0]], traits=traits)


def test_strings_set_on_an_object_are_refused_by_the_layer():
    solver = from_function(identity)
    solver.traits = frozenset({"SHIFT_INVARIANT"})
    with pytest.raises(
        TypeError, match=r"from_function\(identity\): traits hold .*Trait.SHIFT_INVARIANT\."
    ):
        CombinatorialLayer(solver, Identity(), Mean())


def test_members_in_any_collection_are_taken():
    class Mine(Solver):
        traits = [Trait.SHIFT_INVARIANT]  # noqa: RUF012, what a user may write

        def _solve(self, costs):
            return torch.zeros_like(costs)

    assert Mine.traits == Mine().traits == {Trait.SHIFT_INVARIANT}
    assert from_function(identity, traits=Trait.SCALE_INVARIANT).traits == {Trait.SCALE_INVARIANT}
