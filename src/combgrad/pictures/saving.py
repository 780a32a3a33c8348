"""Figures and pages on disk."""

from pathlib import Path

from matplotlib.figure import Figure

from combgrad.files.writing import write_atomically, write_text_atomically
from combgrad.pictures.words import Page


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, at once or not at all, and empty it to free its memory."""
    try:
        return write_atomically(Path(path), lambda file: figure.savefig(file, format="png"))
    finally:
        figure.clear()


def save_picture(picture: Figure | Page, folder: Path, name: str) -> Path:
    """Write a figure as `name`.png or a page as `name`.html, at once or not at all.

    Raises OSError, naming the file, where it cannot be written.
    """
    folder = Path(folder)
    if isinstance(picture, Page):
        return write_text_atomically(folder / f"{name}.html", picture.html)
    return save_figure(picture, folder / f"{name}.png")
