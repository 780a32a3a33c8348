"""What makes two runs the same: a canonical form of the scientific configuration, and its digests.

The form outlives the code: parts stand in it by their public name wherever they are defined,
numbers by their value however they are written, and the order of keys says nothing. A renamed or
added option is a step of `results.migrations`, so that old records keep their identity.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: The seed and what follows from it, and where the data come from; these may differ within a cell.
#: (A table never averages over data sources: it groups by the record's own field.)
WITHIN_A_CELL = (
    ("seed",),
    ("data", "order_seed"),
    ("data", "split_seed"),
    ("data", "source"),
    ("data", "collection", "draw_seed"),
    ("model", "seed"),
)

#: Up to here every whole number has a float of its own.
EXACT_WHOLE = 2**53


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical form of a scientific configuration; absent and empty parts are left out."""
    return {str(name): canonical(part) for name, part in config.items() if part not in (None, {})}


def canonical(value: Any) -> Any:
    """A value of a configuration with parts by public name and numbers by their value."""
    if isinstance(value, Mapping):
        kept = {str(key): canonical(entry) for key, entry in value.items() if key != "_partial_"}
        if "_target_" in kept:
            kept["_target_"] = public_name(str(kept["_target_"]))
        return kept
    if isinstance(value, list | tuple):
        return [canonical(entry) for entry in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT_WHOLE:
        return int(value)
    return value


def public_name(target: str) -> str:
    """What a part is called, wherever it is defined: `TSP` for `combgrad.solvers.tsp.TSP`.

    A part from elsewhere keeps its whole path, since anybody may have a `TSP`.
    """
    return target.rpartition(".")[2] if target.startswith("combgrad.") else target


def digest(*parts: Any) -> str:
    """A sha256 of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def run_key(config: Mapping[str, Any], data_fingerprint: str) -> str:
    """The key of a run: a digest of its identity and its data."""
    return digest(identity(config), data_fingerprint)


def signature(config: Mapping[str, Any]) -> str:
    """A digest of what the runs of one cell have in common: all but seed and data source."""
    kept = identity(config)
    for *parents, name in WITHIN_A_CELL:
        node: Any = kept
        for parent in parents:
            node = node.get(parent) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(name, None)
    return digest(kept)
