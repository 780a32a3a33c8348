"""What layer and losses do to stay out of the graphs of torch.compile."""

from collections.abc import Callable
from typing import Any

import torch


def outside_graphs(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` answers; under torch.compile computed as without it."""
    if torch.compiler.is_compiling():
        from combgrad.gradients import eager

        return eager.call(function, *arguments)
    return function(*arguments)
