"""Marked words: every mark where it belongs, on the page and in the terminal, and on disk."""

import io
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from rich.console import Console
from rich.text import Text

from combgrad.pictures.saving import save_picture
from combgrad.pictures.words import NO_WORDS, MarkedReview, Page, in_terminal, page

#: Chosen and relevant: one. Chosen only: two. Relevant only: three. Neither: two.
REVIEW = MarkedReview(
    words=("deep", "gold", "with", "malty", "nose", ",", "hops", "."),
    chosen=(True, False, True, True, False, False, False, False),
    relevant=(False, True, False, True, True, False, True, False),
    rating=0.9,
    predicted=0.834,
)
UNMARKED = replace(REVIEW, relevant=None)
EMPTY = MarkedReview((), (), (), 0.5, 0.25)
MARKS = ("hit", "wrong", "missed", "chosen")
VOID = {"meta", "link"}


class Reader(HTMLParser):
    """What stands on a page: its tags, the words of each mark, and all text of the body."""

    def __init__(self, markup):
        super().__init__()
        self.open, self.tags = [], Counter()
        self.marked, self.legend = {mark: [] for mark in MARKS}, []
        self.addresses, self.text = [], ""
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags[tag] += 1
        self.addresses += [given[name] for name in ("src", "href") if name in given]
        if tag not in VOID:
            self.open.append((tag, given.get("class")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tags, classes = zip(*self.open, strict=True) if self.open else ((), ())
        if "body" in tags:
            self.text += data
        if classes and classes[-1] in MARKS:
            if "article" in tags:
                self.marked[classes[-1]].append(data)
            else:
                self.legend.append(classes[-1])


def plain(text):
    """Text as a terminal without colours shows it."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(text)
    return console.file.getvalue()


def test_each_word_has_its_mark():
    found = Reader(page([REVIEW, UNMARKED], "Beers"))
    assert found.marked == {
        "hit": ["malty"],
        "wrong": ["deep", "with"],
        "missed": ["gold", "nose", "hops"],
        "chosen": ["deep", "with", "malty"],
    }
    assert found.legend == list(MARKS)
    assert found.tags["article"] == 2
    assert found.text.count("deep gold with malty nose , hops .") == 2


def test_numbers_of_a_review():
    text = Reader(page([REVIEW], "Beers")).text
    for fact in ("true rating0.90", "predicted rating0.83", "chosen words3"):
        assert fact in text
    assert "of them relevant1" in text
    assert "missed3" in text


def test_without_marks_of_a_reader_there_is_only_chosen():
    found = Reader(page([UNMARKED], "Beers"))
    assert found.legend == ["chosen"]
    assert "relevant" not in found.text
    assert "missed" not in found.text
    assert Reader(page([REVIEW], "Beers")).legend == ["hit", "wrong", "missed"]


def test_chosen_words_are_bold_and_no_other():
    found = Reader(page([REVIEW], "Beers"))
    assert (found.tags["b"], found.tags["i"]) == (3 + 2, 3 + 1)  # in the text, in the legend


def test_nothing_is_markup_or_template():
    evil = "<script>alert('&')</script>"
    words = (evil, '"quoted"', "$title", "&amp;")
    review = MarkedReview(words, (True, False, True, False), (False, False, True, True), 1, 2)
    markup = page([review, replace(review, relevant=None)], f"{evil} $reviews")
    found = Reader(markup)
    assert found.tags["script"] == 0
    assert "<script" not in markup
    assert found.text.count(" ".join(words)) == 2
    assert f"{evil} $reviews" in found.text
    assert found.marked["wrong"] == [evil]


def test_the_page_loads_nothing():
    markup = page([REVIEW], "Beers")
    assert Reader(markup).addresses == ["data:,"]
    assert not any(word in markup for word in ("http:", "https:", "//", "@import", "url("))
    assert "prefers-color-scheme: dark" in markup


def test_an_empty_review_and_no_review_are_shown_as_such():
    found = Reader(page([EMPTY], "Beers"))
    assert NO_WORDS in found.text
    assert not any(found.marked.values())
    assert "There is no review." in Reader(page([], "Beers")).text
    assert Reader(page([], "Beers")).legend == []
    assert NO_WORDS in plain(in_terminal(EMPTY))


@pytest.mark.parametrize("name", ["chosen", "relevant"])
def test_marks_must_be_as_many_as_words(name):
    with pytest.raises(ValueError, match=f"{name} has 2 entries for 8 words"):
        replace(REVIEW, **{name: (True, False)})


def test_the_terminal_needs_no_colour():
    numbers, words = plain(in_terminal(REVIEW)).splitlines()
    assert numbers == "rating 0.90, predicted 0.83; chosen: [1] relevant, <2> not; missed: (3)"
    assert words == "<deep> (gold) <with> [malty] (nose) , (hops) ."
    numbers, words = plain(in_terminal(UNMARKED)).splitlines()
    assert numbers == "rating 0.90, predicted 0.83; chosen: [3]"
    assert words == "[deep] gold [with] [malty] nose , hops ."


def test_the_terminal_takes_no_word_for_markup():
    review = MarkedReview(("[red]", "[/]", ":beer:"), (True, False, False), None, 0, 0)
    text = in_terminal(review)
    assert text.plain.splitlines()[1] == "[[red]] [/] :beer:"
    styled = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert "bold" in styled["[[red]]"]
    assert "[/]" not in styled


def test_the_terminal_has_a_style_for_each_mark():
    text = in_terminal(REVIEW)
    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert len({styles[word] for word in ("[malty]", "<deep>", "(nose)")}) == 3
    assert styles["<deep>"] == styles["<with>"]
    assert "bold" in styles["[malty]"]
    assert "bold" in styles["<deep>"]


def test_pictures_on_disk(tmp_path):
    markup = page([REVIEW], "Größe ≥ 1")
    written = save_picture(Page(markup, Text("Beers")), tmp_path / "new", "words")
    assert written == tmp_path / "new" / "words.html"
    assert written.read_text(encoding="utf-8") == markup
    figure = Figure()
    figure.subplots()
    written = save_picture(figure, tmp_path / "new", "curve")
    assert written == tmp_path / "new" / "curve.png"
    assert written.read_bytes().startswith(b"\x89PNG")
    assert figure.axes == []
    assert {path.name for path in written.parent.iterdir()} == {"words.html", "curve.png"}


def test_a_page_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*words\.html"):
        save_picture(Page("", Text()), tmp_path / "file", "words")
