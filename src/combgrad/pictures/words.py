"""Which words of a text a model chose and which matter to a reader: for browser and terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from rich.text import Text

from combgrad.results.templates import templates

TEMPLATE = Path(__file__).with_name("words_page.html")
NO_WORDS = "This review has no words."


class Mark(Enum):
    """How a word is marked: its tag and legend in HTML, its brackets and style in a terminal.

    Tags and brackets differ so that no mark needs a colour.
    """

    HIT = ("b", "chosen and relevant", ("[", "]"), "bold black on green")
    WRONG = ("b", "chosen, but not relevant", ("<", ">"), "bold black on yellow")
    MISSED = ("i", "relevant, but missed", ("(", ")"), "italic underline")
    CHOSEN = ("b", "chosen", ("[", "]"), "bold black on cyan")

    def __init__(self, tag: str, legend: str, brackets: tuple[str, str], style: str) -> None:
        self.tag, self.legend, self.brackets, self.style = tag, legend, brackets, style

    def in_terminal(self, word: str) -> Text:
        """A word with this mark."""
        left, right = self.brackets
        return Text(f"{left}{word}{right}", style=self.style)


#: By whether a word is chosen and whether it is relevant.
MARKS = {(True, True): Mark.HIT, (True, False): Mark.WRONG, (False, True): Mark.MISSED}


@dataclass(frozen=True)
class MarkedReview:
    """A text of n >= 0 words and its rating, with what a model chose and predicted.

    Raises ValueError where there are not as many marks as words.

    Attributes:
        words: all n, in order.
        chosen: of each word whether the model chose it.
        relevant: of each word whether it matters to a reader; None where nobody said.
        rating: the true one, on any scale.
        predicted: the model's, on the same scale.
    """

    words: tuple[str, ...]
    chosen: tuple[bool, ...]
    relevant: tuple[bool, ...] | None
    rating: float
    predicted: float

    def __post_init__(self) -> None:
        for name in ("chosen", "relevant"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.words):
                raise ValueError(
                    f"{name} has {len(given)} entries for {len(self.words)} words; give one each."
                )

    def marks(self) -> list[Mark | None]:
        """The mark of each word, None for a plain one."""
        if self.relevant is None:
            return [Mark.CHOSEN if chosen else None for chosen in self.chosen]
        pairs = zip(self.chosen, self.relevant, strict=True)
        return [MARKS.get((bool(chosen), bool(relevant))) for chosen, relevant in pairs]


@dataclass(frozen=True)
class Page:
    """A picture made of words: HTML for a file, text for the terminal."""

    html: str
    text: Text


def page(reviews: Sequence[MarkedReview], title: str) -> str:
    """The marked reviews as one HTML page that loads nothing."""
    page = templates(TEMPLATE.parent).get_template(TEMPLATE.name)
    return page.render(
        title=title,
        legend=_legend(reviews),
        reviews=[_article(review) for review in reviews],
        no_words=NO_WORDS,
    )


def in_terminal(review: MarkedReview) -> Text:
    """The review in two lines, its numbers and its words; the numbers explain the brackets."""
    counts = review.marks()

    def number(mark: Mark) -> Text:
        return mark.in_terminal(str(counts.count(mark)))

    line = Text(f"rating {review.rating:.2f}, predicted {review.predicted:.2f}; chosen: ")
    if review.relevant is None:
        line.append_text(number(Mark.CHOSEN))
    else:
        line.append_text(number(Mark.HIT)).append(" relevant, ")
        line.append_text(number(Mark.WRONG)).append(" not; missed: ")
        line.append_text(number(Mark.MISSED))
    words = [
        Text(word) if mark is None else mark.in_terminal(word)
        for word, mark in zip(review.words, review.marks(), strict=True)
    ]
    return line.append("\n").append_text(Text(" ").join(words) if words else Text(NO_WORDS))


def _legend(reviews: Sequence[MarkedReview]) -> list[Mark]:
    known = any(review.relevant is not None for review in reviews)
    unknown = any(review.relevant is None for review in reviews)
    return [*(MARKS.values() if known else ()), *([Mark.CHOSEN] if unknown else ())]


def _article(review: MarkedReview) -> dict[str, Any]:
    marks = review.marks()
    facts = {
        "true rating": f"{review.rating:.2f}",
        "predicted rating": f"{review.predicted:.2f}",
        "chosen words": str(sum(map(bool, review.chosen))),
    }
    if review.relevant is not None:
        facts["of them relevant"] = str(marks.count(Mark.HIT))
        facts["missed"] = str(marks.count(Mark.MISSED))
    return {"facts": facts, "words": list(zip(review.words, marks, strict=True))}
