"""What tells a run from others of the same name: values that differ from the usual ones."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from combgrad.arguments import is_number

#: Longer ones are cut; the digest beside a name in file and folder still tells runs apart.
MOST_CHARACTERS = 120


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with keys such as `optimizer.lr`; a list is one value."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        found |= flat(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return found


def differing(
    asked: Mapping[str, Any], usual: Mapping[str, Any], told: Collection[str]
) -> dict[str, Any]:
    """The values of two flat configurations that differ, None where one is gone.

    What is told already is left out, with all that lies below it.
    """
    keys = [key for key in (*asked, *usual) if asked.get(key) != usual.get(key)]
    kept = [key for key in keys if not _below(key, told)]
    return {key if key in asked else _gone(key, asked): asked.get(key) for key in kept}


def _gone(key: str, asked: Mapping[str, Any]) -> str:
    """The highest node above a key of which nothing is left."""
    names = key.split(".")
    nodes = (".".join(names[:depth]) for depth in range(1, len(names) + 1))
    return next(n for n in nodes if not any(_below(other, (n,)) for other in asked))


def _below(key: str, nodes: Collection[str]) -> bool:
    names = key.split(".")
    return any(".".join(names[:depth]) in nodes for depth in range(1, len(names) + 1))


def labels(values: Mapping[str, Any]) -> list[str]:
    """Short names of values: `lam5` for `grad.lam` of 5, `noise.k5` where another `k` differs.

    A `seed` that is not the run's own is `data.seed5`.
    """
    last = {key: key.rpartition(".")[2] for key in values}
    shared = {name for name in last.values() if list(last.values()).count(name) > 1} | {"seed"}
    return [
        _label(".".join(key.split(".")[-2:]) if last[key] in shared else last[key], value)
        for key, value in values.items()
    ]


def _label(name: str, value: Any) -> str:
    if value is None:
        return f"no_{name}"
    if name.endswith("_target_"):
        return file_word(str(value))
    if is_number(value):
        return f"{name}{value:g}"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{name}_{file_word(text)}"


def file_word(text: str) -> str:
    """A text with nothing in it that a file name should not hold."""
    return re.sub(r"[^\w.,+-]+", "_", text).strip("_.")


def shortened(name: str) -> str:
    """A name cut to what a file name can hold."""
    return name if len(name) <= MOST_CHARACTERS else f"{name[:MOST_CHARACTERS]}..."
