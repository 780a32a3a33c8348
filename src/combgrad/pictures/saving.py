"""Figures on disk."""

from pathlib import Path

from matplotlib.figure import Figure

from combgrad.files import write_atomically


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, at once or not at all, and empty it to free its memory."""
    try:
        return write_atomically(Path(path), lambda file: figure.savefig(file, format="png"))
    finally:
        figure.clear()
