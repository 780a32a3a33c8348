"""Which callbacks decide a result: all that the program does not bring itself."""

import functools
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

#: They look on and show, whatever their settings; tests prove that training goes on as without.
ONLY_LOOKING = {
    "progress": "combgrad.experiments.progress.TrainingProgress",
    "snapshots": "combgrad.experiments.snapshots.Snapshots",
}

#: What names the run's own folder, which is itself named after all that decides the result.
OWN_FOLDER = ("${paths.", "${run_folder:")


def deciding_callbacks(config: DictConfig, shipped: Path) -> dict[str, Any]:
    """How the callbacks of a configuration differ from those in the YAML `shipped`, if they do.

    Name -> the settings that differ; None for a callback, or a setting, that was taken away.
    Paths below the run's own folder are written as `${paths.output}`, so that they do not count.
    """
    usual = DictConfig(_read(shipped), parent=config)
    given = config.get("callbacks") or DictConfig({})
    output = str(OmegaConf.to_container(config.paths, resolve=False)["output"])  # type: ignore[call-overload, index]
    found: dict[str, Any] = {}
    for name in sorted({*map(str, usual), *map(str, given)}):
        mine, theirs = (_settings(node.get(name), output) for node in (given, usual))
        if name in ONLY_LOOKING and (mine or theirs)["_target_"] == ONLY_LOOKING[name]:
            continue
        keys = [key for key in {**theirs, **mine} if mine.get(key) != theirs.get(key)]
        if keys:
            found[name] = {key: mine.get(key) for key in keys} if mine else None
    return found


@functools.cache
def _read(shipped: Path) -> Any:
    return OmegaConf.to_container(OmegaConf.load(shipped))


def _settings(node: DictConfig | None, output: str) -> dict[str, Any]:
    raw = OmegaConf.to_container(node, resolve=False) if node else {}
    assert isinstance(raw, dict)
    return {
        str(key): value if _names_own_folder(value) else _portable(node[key], output)  # type: ignore[index]
        for key, value in raw.items()
    }


def _names_own_folder(raw: Any) -> bool:
    return any(word in str(raw) for word in OWN_FOLDER)


def _portable(value: Any, output: str) -> Any:
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value, resolve=True)
    if isinstance(value, dict):
        return {key: _portable(entry, output) for key, entry in value.items()}
    if isinstance(value, list):
        return [_portable(entry, output) for entry in value]
    if isinstance(value, str) and value.startswith(output):
        return "${paths.output}" + value.removeprefix(output)
    return value
