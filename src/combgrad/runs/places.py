"""Where things lie: the configurations that came with the code, and paths as they are meant."""

import os
from pathlib import Path

from combgrad.errors import CombgradError
from combgrad.files.installation import CONFIG_FOLDER

__all__ = [
    "CONFIG_FOLDER",
    "FolderNameError",
    "NoConfigurationsError",
    "absolute",
    "check_start",
    "checked_configs",
]


class NoConfigurationsError(CombgradError, FileNotFoundError):
    """A copy of the package alone, or a folder of the user's, without what can be chosen."""


def checked_configs(folder: Path) -> Path:
    """`folder`, where it holds configurations; NoConfigurationsError says where to get them."""
    if not (folder / "train.yaml").is_file():
        raise NoConfigurationsError(
            f"there are no configurations in {folder}: they come with the repository and with a "
            f"wheel that is built from it; import combgrad alone needs none."
        )
    return folder


class FolderNameError(CombgradError, ValueError):
    """A folder whose name means something else in a configuration."""


def check_start(folder: str) -> None:
    """FolderNameError for a folder that a configuration cannot hold as it is."""
    if "${" in folder:
        raise FolderNameError(
            f"{folder} has '${{' in its name, which a configuration takes for a reference; choose "
            f"another folder to start in."
        )


def absolute(path: str, start: str) -> str:
    """A path as an absolute one; a relative one starts in the folder `start`."""
    return os.path.abspath(os.path.join(start, os.path.expanduser(path)))
