"""Where a number comes from: the code, the packages and the machine."""

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

#: Those that decide a result.
PACKAGES = ("combgrad", "torch", "numpy", "numba", "pytorch-lightning", "gurobipy")


def commit() -> str:
    """The commit of this checkout, with `+changes` where it is not clean; `unknown` outside one.

    A repository that holds an installed copy, as one around a virtual environment, is not ours.
    """
    file = Path(__file__).resolve()
    package = str(file.parents[1])
    # As set in a hook of another repository, these would name that one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=file.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "--", str(file))
        changed = git("status", "--porcelain", "--untracked-files=no", "--", package, ":/configs")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(accelerator: str, device: torch.device | None = None) -> dict[str, Any]:
    """The processor, its cores, torch's threads and the accelerator the run used; `card` by name.

    Where the system tells it, `load` is how many processes worked or waited to on average in the
    last minute: near `threads` on a machine that did nothing else.
    """
    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": accelerator,
    }
    if device is not None and device.type == "cuda":
        found["card"] = torch.cuda.get_device_name(device)
    if hasattr(os, "getloadavg"):
        found["load"] = round(os.getloadavg()[0], 2)
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
