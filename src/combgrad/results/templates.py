"""HTML from templates: the engine escapes whatever is put in, wherever it comes from."""

from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

#: Those of tables and of the report.
PAGES = Path(__file__).with_name("pages")


def templates(folder: Path) -> Environment:
    """The templates of a folder; a name that one of them misses is an error, not a gap."""
    made = Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: writable(value) if type(value) is str else value,
    )
    made.filters["address"] = address
    return made


def writable(text: str) -> str:
    """A text with question marks for halves of letters, which no file in UTF-8 can hold.

    They come from words on a command line that are not in the encoding of the terminal.
    """
    return text.encode("utf-8", "replace").decode("utf-8")


def address(name: str) -> str:
    """The link to an id of the same page."""
    return f"#{quote(name, errors='replace')}"
