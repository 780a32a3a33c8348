"""What records of earlier versions mean today: one step for each change of what a record says.

Whoever renames, moves, removes or adds an option that counts in a run's identity adds a step here:
`STEPS[n]` turns the fields of a record of format n into those of format n + 1. Steps are never
edited once records of their format exist.
"""

import copy
from collections.abc import Callable
from typing import Any

#: The fields of a record as JSON has them.
Fields = dict[str, Any]


def key_from_identity(fields: Fields) -> Fields:
    """Format 1 had a key of the whole configuration, code paths included; now it is computed."""
    return fields


STEPS: tuple[Callable[[Fields], Fields], ...] = (key_from_identity,)

#: The format that this version writes.
FORMAT = len(STEPS) + 1


def migrated(fields: Fields) -> Fields:
    """The fields of a record, of whatever format, as today's format has them.

    Raises ValueError where the format is none that this version knows.
    """
    found = fields.get("format")
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ValueError(f"its format is {found!r}, which is no format of a record")
    if found > FORMAT:
        raise ValueError(
            f"its format is {found}, and this version reads up to {FORMAT}; update combgrad"
        )
    fields = copy.deepcopy(fields)
    for step in STEPS[found - 1 :]:
        fields = step(fields)
    return {**fields, "format": FORMAT}
