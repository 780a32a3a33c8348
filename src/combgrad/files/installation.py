"""Where this code lies: in a checkout of the repository, or installed with what can be chosen."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

#: Whether a wheel brought it, which holds the configurations inside the package.
INSTALLED = (_PACKAGE / "configs").is_dir()

CONFIG_FOLDER = (_PACKAGE if INSTALLED else _PACKAGE.parents[1]) / "configs"


def program(name: str = "train") -> str:
    """What starts a command, as a user types it.

    `python train.py` or `python scripts/tables.py` in a checkout, else `combgrad` or
    `combgrad tables`.
    """
    if INSTALLED:
        return "combgrad" if name == "train" else f"combgrad {name}"
    return "python train.py" if name == "train" else f"python scripts/{name}.py"


def extra(name: str) -> str:
    """How an extra is installed."""
    if INSTALLED:
        return f"pip install 'combgrad[{name}]'"
    return f"pip install -c constraints.txt -e '.[{name}]'"
