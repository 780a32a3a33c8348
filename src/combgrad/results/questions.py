"""What the paper leaves open (docs/protocols.md): each A-nn in a text becomes a link to it."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from combgrad.files.installation import CONFIG_FOLDER

#: The page that has them, which a wheel does not bring.
PROTOCOLS = CONFIG_FOLDER.parent / "docs" / "protocols.md"

NUMBER = re.compile(r"\bA-\d\d\b")
_ROW = re.compile(r"^\| (A-\d\d) \| (.*?) \| (.*) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
#: A link to what the same page says below.
_BELOW = re.compile(r";? *\[[^\]]*\]\(#[^)]*\)")
_CODE = re.compile(r"`([^`]*)`")


@dataclass(frozen=True)
class Question:
    """What is open, and what is done about it here, both in Markdown without links."""

    open: str
    here: str


def read_questions(page: Path = PROTOCOLS) -> dict[str, Question]:
    """The questions by their numbers, in their order; none where there is no such page."""
    if not page.is_file():
        return {}
    text = _LINK.sub(r"\1", _BELOW.sub("", page.read_text(encoding="utf-8")))
    # Within a table's row a bar and, beside formulas, a star have a stroke before them.
    rows = {
        match[1]: Question(*(re.sub(r"\\(.)", r"\1", cell) for cell in match.groups()[1:]))
        for match in _ROW.finditer(text)
    }
    return dict(sorted(rows.items()))


def cited(texts: Iterable[str], known: Mapping[str, Question]) -> dict[str, Question]:
    """Those of the known questions that some texts name, or that these name in turn."""
    named: set[str] = set()
    new = {number for text in texts for number in NUMBER.findall(text)} & set(known)
    while new:
        named |= new
        answers = (text for number in new for text in (known[number].open, known[number].here))
        new = ({number for text in answers for number in NUMBER.findall(text)} & set(known)) - named
    return {number: question for number, question in known.items() if number in named}


def linked(text: str, known: Collection[str]) -> Markup:
    """A text in which each number of a known question leads to it, on the same page."""

    def link(match: re.Match[str]) -> str:
        number = match[0]
        return f'<a href="#{number}">{number}</a>' if number in known else number

    return Markup(NUMBER.sub(link, str(escape(text))))


def answered(text: str, known: Collection[str]) -> Markup:
    """A text of a question, linked, in which what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(linked(text, known))))
