"""What describes a batch of instances beside their costs, and where they are only padding."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from combgrad.arguments import brief, check_count
from combgrad.errors import SolverInputError

#: The shape of one instance's entry of an argument, or None where entries are no arrays.
EntryShape = tuple[int, ...] | None

#: The argument that every solver knows: which entries of the costs are there.
VALID = "valid"


@dataclass(frozen=True, eq=False)
class Instances:
    """The description of a batch of B instances, immutable.

    Attributes:
        per_row: by name, arguments with one entry for each instance: a tensor, array or list.
        shared: by name, arguments that hold for all instances.
        valid: which entries of the costs are there, bool (B, *S), for a batch of instances of
            different size; the others are padding. None where all are.

    Raises SolverInputError for entries that are not as many as others, a name that stands twice,
    and a mask that is none.
    """

    per_row: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    valid: Tensor | None = None
    entries: Mapping[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "per_row", MappingProxyType(dict(self.per_row)))
        object.__setattr__(self, "shared", MappingProxyType(dict(self.shared)))
        twice = sorted({*self.per_row} & {*self.shared} | ({*self.per_row, *self.shared} & {VALID}))
        if twice:
            raise SolverInputError(
                f"Instances: {twice[0]!r} stands in more than one place; give it once, per row or "
                f"shared, and the mask as valid=."
            )
        if self.valid is not None and (
            not isinstance(self.valid, Tensor) or self.valid.dtype != torch.bool
        ):
            raise SolverInputError(
                "Instances: valid is no bool tensor; pass one of the shape of the costs, True "
                "where an entry is there and False where it is padding."
            )
        counts = {name: _count(name, value) for name, value in self._of_rows().items()}
        if len({*counts.values()}) > 1:
            words = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise SolverInputError(
                f"Instances: the entries are not of the same number of instances ({words}); give "
                f"one for each, and what all share as shared={{...}}."
            )
        # Asked for in every call of a solver.
        entries = {**self.shared, **self._of_rows()}
        object.__setattr__(self, "entries", MappingProxyType(entries))

    def _of_rows(self) -> dict[str, Any]:
        mask = {} if self.valid is None else {VALID: self.valid}
        return {**self.per_row, **mask}

    def __bool__(self) -> bool:
        """Whether anything is described."""
        return bool(self.per_row or self.shared or self.valid is not None)

    def __reduce__(self) -> tuple[Any, ...]:
        return Instances, (dict(self.per_row), dict(self.shared), self.valid)

    @property
    def size(self) -> int | None:
        """How many instances are described; None where nothing is said of single ones."""
        return next((len(value) for value in self._of_rows().values()), None)

    def rows(self, index: Tensor | Sequence[int]) -> "Instances":
        """The description of the instances at some places of the batch, integers (N,).

        Raises SolverInputError for a mask, whose True and False would be places 1 and 0.
        """
        places = index.tolist() if isinstance(index, Tensor) else list(index)
        if any(isinstance(place, bool | np.bool_) for place in places):
            raise SolverInputError(
                "Instances: rows takes the places of instances, and got a mask; pass "
                "mask.nonzero()[:, 0]."
            )
        places = [int(place) for place in places]
        return self._each(lambda value: _taken(value, places))

    def repeat(self, times: int) -> "Instances":
        """The description of the batch repeated as a whole: row m * B + i is of instance i.

        Raises ValueError unless `times` is a whole number of at least 1.
        """
        check_count("times", times, "repeat")
        return self._each(lambda value: _repeated(value, times))

    def to(self, device: torch.device | str, **options: Any) -> "Instances":
        """The same with all tensors on a device."""

        def moved(value: Any) -> Any:
            return value.to(device, **options) if isinstance(value, Tensor) else value

        shared = {name: moved(value) for name, value in self.shared.items()}
        return Instances(self.per_row, shared, self.valid)._each(moved)

    def _each(self, change: Callable[[Any], Any]) -> "Instances":
        per_row = {name: change(value) for name, value in self.per_row.items()}
        return Instances(per_row, self.shared, None if self.valid is None else change(self.valid))

    def without_padding(self, costs: Tensor) -> Tensor:
        """Costs (B, *S) with +inf for padding, which no projection, noise or solver then uses.

        Differentiable; padding gets no gradient, whatever stands there.
        """
        if self.valid is None:
            return costs
        return costs.masked_fill(~self.valid.to(costs.device), torch.inf)

    def zeroed(self, values: Tensor) -> Tensor:
        """Values (B, *S), such as solutions, with 0 for padding."""
        return (
            values if self.valid is None else values.masked_fill(~self.valid.to(values.device), 0)
        )


#: A batch of which nothing is said.
NOTHING = Instances()


def further_arguments(function: Callable[..., Any], after: int) -> frozenset[str] | None:
    """The arguments of a function `after` the first ones, without `valid`; None where it takes any.

    Also where it does not tell, as compiled code need not.
    """
    try:
        others = [*inspect.signature(function).parameters.values()][after:]
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in others):
        return None
    return frozenset(p.name for p in others if p.kind is not p.VAR_POSITIONAL) - {VALID}


def described(
    owner: str,
    shapes: Mapping[str, EntryShape],
    shared: Collection[str] | None,
    batch: int,
    named: Mapping[str, Any],
) -> Instances:
    """The instances that keyword arguments describe, by what their owner declares.

    A name of `shapes` has one entry for each of the `batch` instances, but where a value has the
    axes of one entry alone: then all share it. Those of `shared`, all others where it is None, are
    shared. A value of None is left out.

    Raises SolverInputError, naming the owner, for an unknown name or another number of entries.
    """
    given = {name: value for name, value in named.items() if value is not None}
    valid = given.pop(VALID, None)
    check_names(owner, shapes, shared, given)
    per_row = {
        name: value
        for name, value in given.items()
        if name in shapes and not _is_one_entry(value, shapes[name])
    }
    for name, value in per_row.items():
        if (count := _count(name, value, owner)) != batch:
            raise SolverInputError(
                f"{owner}: {name!r} has {count} entries for {batch} instances; pass one for each."
            )
    others = {name: value for name, value in given.items() if name not in per_row}
    return Instances(per_row, others, valid)


def check_names(
    owner: str,
    shapes: Mapping[str, EntryShape],
    shared: Collection[str] | None,
    names: Collection[str],
) -> None:
    """Raise SolverInputError for the name of an argument that its owner does not have."""
    if shared is None:
        return
    for name in names:
        if name not in shapes and name not in shared:
            there_is = ", ".join([*shapes, *shared, VALID])
            raise SolverInputError(
                f"{owner} takes no argument {name!r} beside the costs; there is {there_is}."
            )


def check_places(
    owner: str, shapes: Mapping[str, EntryShape], shared: Collection[str] | None, given: Instances
) -> None:
    """Raise SolverInputError where Instances say otherwise than the owner what is per row."""
    if not isinstance(given, Instances):
        raise SolverInputError(
            f"{owner}: instances are {brief(given)}; pass Instances(...), or what describes them "
            f"by name."
        )
    check_names(owner, shapes, shared, [*given.per_row, *given.shared])
    for name in given.per_row:
        if name not in shapes:
            raise SolverInputError(
                f"{owner}: all instances share {name!r}; give it as shared={{{name!r}: ...}}."
            )
    for name in given.shared:
        if name in shapes and not _is_one_entry(given.shared[name], shapes[name]):
            raise SolverInputError(
                f"{owner}: {name!r} has one entry for each instance; give it as "
                f"per_row={{{name!r}: ...}}."
            )


def _is_one_entry(value: Any, shape: EntryShape) -> bool:
    if shape is None:
        return False
    try:
        return bool(
            np.ndim(value.detach().cpu() if isinstance(value, Tensor) else value) == len(shape)
        )
    except ValueError:  # ragged
        return False


def _count(name: str, value: Any, owner: str = "Instances") -> int:
    try:
        return len(value)
    except TypeError as error:
        raise SolverInputError(
            f"{owner}: {name!r} has one entry for each instance, and a {type(value).__name__} has "
            f"none; pass a tensor, an array or a list."
        ) from error


def _taken(value: Any, places: list[int]) -> Any:
    return value[places] if isinstance(value, Tensor | np.ndarray) else [value[i] for i in places]


def _repeated(value: Any, times: int) -> Any:
    if isinstance(value, Tensor):
        return value.repeat(times, *[1] * (value.dim() - 1))
    if isinstance(value, np.ndarray):
        return np.concatenate([value] * times)
    return list(value) * times
