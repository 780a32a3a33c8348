"""What records of earlier versions mean today: one step for each change of what a record says.

Whoever renames, moves, removes or adds an option that counts in a run's identity adds a step here:
`STEPS[n]` turns the fields of a record of format n into those of format n + 1. Steps are never
edited once records of their format exist.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

#: The fields of a record as JSON has them.
Fields = dict[str, Any]


def _part(fields: Fields, group: str, *names: str) -> dict[str, Any] | None:
    """The part of a group in a record's configuration; None unless its class has such a name."""
    config = fields.get("config")
    part = config.get(group) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        return None
    return part if not names or _name(part) in names else None


def _name(part: dict[str, Any] | None) -> str:
    return str((part or {}).get("_target_")).rpartition(".")[2]


def key_from_identity(fields: Fields) -> Fields:
    """Format 1 had a key of the whole configuration, code paths included; now it is computed."""
    return fields


def labels_by_the_exact_solver(fields: Fields) -> Fields:
    """Format 2 had the solver of Globe TSP's labels in `data.solver`; now it is always `TSP`.

    Labels by any other stay told apart: no run of today has them.
    """
    data = _part(fields, "data")
    solver = data.get("solver") if data else None
    target = solver.get("_target_") if isinstance(solver, dict) else None
    if data and str(target).startswith("combgrad.") and str(target).endswith(".TSP"):
        del data["solver"]
    return fields


def loss_of_its_own(fields: Fields) -> Fields:
    """Format 3 had the loss of a solution as an option of the task, `hamming` where it had none."""
    task = _part(fields, "task", "GlobeTSPExperiment", "WarcraftExperiment")
    if task is not None and not (_name(task) == "WarcraftExperiment" and task.get("direct")):
        loss = task.pop("loss", None)
        target = loss.get("_target_") if isinstance(loss, dict) else "combgrad.losses.hamming"
        prefix, _, last = str(target).rpartition(".")
        renamed = {"hamming": "Hamming", "bilinear_hamming": "BilinearHamming"}
        fields["config"]["loss"] = {"_target_": f"{prefix}.{renamed.get(last, last)}"}
    return fields


def baseline_of_its_own(fields: Fields) -> Fields:
    """Format 4 had the network without a solver as an option `direct` of Warcraft's experiment."""
    task = _part(fields, "task", "WarcraftExperiment")
    if task is not None and task.pop("direct", False):
        task["_target_"] = "combgrad.experiments.WarcraftDirectExperiment"
    return fields


def arguments_said_by_the_solver(fields: Fields) -> Fields:
    """Format 5 had what a cache is told of arguments in `solver.batched`; its solver says it."""
    solver = _part(fields, "solver", "Cached")
    if solver is not None:
        solver.pop("batched", None)
    return fields


def pixels_of_every_size(fields: Fields) -> Fields:
    """Format 6 had the `pixels` of Globe TSP where they were raw; now every record says them."""
    task = _part(fields, "task", "GlobeTSPExperiment")
    if task is not None:
        task.setdefault("pixels", "standardised")
    return fields


def margin_on_nodes(fields: Fields) -> Fields:
    """Format 7 had no choice of the costs that a margin of a matching acts on: those of nodes."""
    task = _part(fields, "task", "MatchingExperiment")
    if task is not None:
        task.setdefault("margin_on", "nodes")
    return fields


def losses_without_a_pool(fields: Fields) -> Fields:
    """Format 8 had no pool of solutions for SPO+ and Fenchel-Young, and no normalised SPO+."""
    loss = _part(fields, "loss", "SPOPlus", "FenchelYoung")
    if loss is not None:
        if _name(loss) == "SPOPlus":
            loss.setdefault("normalised", False)
        loss.setdefault("pool", None)
    return fields


def rate_of_a_trained_backbone(fields: Fields) -> Fields:
    """Format 9 left out of the command of `cub2010_trained` a rate whose default is another now."""
    command, word, task = fields.get("command"), "task.backbone_rate", _part(fields, "task")
    if fields.get("experiment") != "cub2010_trained" or task is None:
        return fields
    if isinstance(command, str) and command and word not in command:
        fields["command"] = f"{command} {word}={task.get('backbone_rate')}"
    return fields


STEPS: tuple[Callable[[Fields], Fields], ...] = (
    key_from_identity,
    labels_by_the_exact_solver,
    loss_of_its_own,
    baseline_of_its_own,
    arguments_said_by_the_solver,
    pixels_of_every_size,
    margin_on_nodes,
    losses_without_a_pool,
    rate_of_a_trained_backbone,
)

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


def changes(before: Any, after: Any, place: str = "") -> list[str]:
    """Where two JSON values differ, each difference in words."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [f"{place}: {_short(before)} -> {_short(after)}"]
    found = []
    for name in [*before, *(name for name in after if name not in before)]:
        inside = f"{place}.{name}" if place else name
        if name not in after:
            found.append(f"{inside}: {_short(before[name])} -> gone")
        elif name not in before:
            found.append(f"{inside}: new, {_short(after[name])}")
        else:
            found += changes(before[name], after[name], inside)
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
