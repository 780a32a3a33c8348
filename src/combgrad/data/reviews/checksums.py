"""Checksums of files that are too large to be read again at every start."""

import json
import warnings
from pathlib import Path
from typing import Any

from combgrad.data.base import sha256_of_file
from combgrad.data.splits import fingerprint
from combgrad.files.locking import locked
from combgrad.files.writing import write_text_atomically

RECORD = "reviews-checksums.json"


def checksums_of(files: list[Path], cache: Path | None) -> list[str]:
    """The sha256 of each file, kept in `cache` for as long as its size and times stay the same.

    No checksum of the published files is known, so the first copy is trusted: warns where a file
    is not what it was when it was first read.
    """
    known, digests = _read(cache), list[str]()
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        path, state = str(file.resolve()), file.stat()
        # The last one tells a change that set the time back, too.
        times = {"mtime_ns": state.st_mtime_ns, "ctime_ns": state.st_ctime_ns}
        entry: dict[str, Any] = {"size": state.st_size, **times}
        old = known.get(path, {})
        if not entry.items() <= old.items():
            digest = sha256_of_file(file)
            if old.get("sha256", digest) != digest:
                warnings.warn(
                    f"{file}: its sha256 was {old['sha256']} when it was first read, and is "
                    f"{digest} now; runs from before and after do not compare.",
                    stacklevel=2,
                )
            entry["sha256"] = digest
            known[path] = found[path] = entry | {"seal": _seal(path, entry)}
        digests.append(str(known[path]["sha256"]))
    if cache is not None and found:
        _add(cache, found)
    return digests


def _add(cache: Path, found: dict[str, dict[str, Any]]) -> None:
    """Put entries beside those that are recorded by now, which another process may have written."""
    with locked(cache / RECORD):
        text = json.dumps(_read(cache) | found, indent=1, sort_keys=True)
        write_text_atomically(cache / RECORD, text + "\n")


def _read(cache: Path | None) -> dict[str, dict[str, Any]]:
    """What is recorded; nothing that is missing or damaged, since it can be renewed."""
    if cache is None:
        return {}
    try:
        stored = json.loads((cache / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {path: entry for path, entry in stored.items() if _is_whole(path, entry)}


def _seal(path: str, entry: dict[str, Any]) -> str:
    return fingerprint(path, sorted(entry.items()))


def _is_whole(path: str, entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return False
    rest = {name: value for name, value in entry.items() if name != "seal"}
    # Earlier versions wrote none, and no time of change, so that these are never just believed.
    sealed = entry.get("seal") == _seal(path, rest)
    return sealed or not {"seal", "ctime_ns"} & entry.keys()
