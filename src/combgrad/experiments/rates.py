"""Learning rates: how they fall over the training, and those that parts of a network have."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from combgrad.arguments import check_range


def drops(at: Iterable[float], factor: float) -> Callable[[float], float]:
    """A learning-rate schedule: multiply by `factor` at each fraction `at` of the training.

    The result maps progress from 0 to 1 to the factor of the base learning rate.
    """
    fractions = sorted(at)
    if not all(isinstance(number, int | float) for number in (*fractions, factor)):
        raise ValueError(f"schedule has at={fractions} and factor={factor!r}; give numbers.")
    # A number of epochs would silently never come.
    if not all(0 <= fraction <= 1 for fraction in fractions):
        raise ValueError(
            f"schedule.at is {fractions}; give fractions of the training from 0 to 1, such as 0.8 "
            f"for after 80 % of its epochs."
        )
    return lambda progress: factor ** sum(progress >= fraction for fraction in fractions)


def check_rates(net: nn.Module, rates: Mapping[str, float]) -> None:
    """ValueError for a rate that is no number >= 0, or of a part without parameters of its own."""
    names = [name for name, _ in net.named_parameters()]
    for part, rate in rates.items():
        check_range(f"task.rates.{part}", rate)
        if not any(_belongs(name, part) for name in names):
            parts = dict.fromkeys(name.partition(".")[0] for name in names)
            raise ValueError(
                f"task.rates names {part!r}, and no parameter of {type(net).__name__} lies in a "
                f"part of that name; its parts are {', '.join(parts)}."
            )


def rates_of_backbone(net: nn.Module, rate: float) -> dict[str, float]:
    """The learning rate of a network's backbone, where it has one to train."""
    return {"backbone": rate} if getattr(net, "backbone", None) is not None else {}


def groups_of(module: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """The parameters of a module as an optimizer takes them: a group for each rate.

    `rates` maps parts, such as `net.backbone`, to their learning rate; of two that both hold a
    parameter the inner one counts. All others are the first group, which has the optimizer's rate.
    """
    inner_first = sorted(rates, key=len, reverse=True)
    members: dict[str | None, list[nn.Parameter]] = {None: []}
    for name, parameter in module.named_parameters():
        part = next((part for part in inner_first if _belongs(name, part)), None)
        members.setdefault(part, []).append(parameter)
    own = [{"params": members[part], "lr": rate} for part, rate in rates.items() if part in members]
    return [{"params": members[None]}, *own] if members[None] else own


def _belongs(name: str, part: str) -> bool:
    return f"{name}.".startswith(f"{part}.")
