"""What torch.compile leaves out of its graphs; imported only then, since its own start is slow."""

from collections.abc import Callable
from typing import Any

import torch


@torch.compiler.disable
def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What `function` answers, computed as without torch.compile."""
    return function(*arguments, **options)
