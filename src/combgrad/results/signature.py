"""What records of one cell have in common: the configuration without its seed and data source."""

import hashlib
import json
from typing import Any

#: The seed, what follows from it, and where the data come from; these may differ within a cell.
#: (A table never averages over data sources: it groups by the record's own field.)
SEED = frozenset({"seed", "data.order_seed", "data.split_seed"})
SOURCE = frozenset({"data.source"})


def signature(scientific_config: dict[str, Any]) -> str:
    """A digest of a scientific configuration that runs with other seeds share."""
    kept = {}
    for name, value in scientific_config.items():
        if isinstance(value, dict):
            value = {k: v for k, v in value.items() if f"{name}.{k}" not in SEED | SOURCE}
        if name not in SEED:
            kept[name] = value
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
