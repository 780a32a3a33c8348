"""What the report tells first, what it hides, and where it leads from a number."""

import dataclasses
from pathlib import Path

from combgrad.results.drawings import Drawing
from combgrad.results.layout import read_layout
from combgrad.results.questions import Question
from combgrad.results.report import Report, to_page
from combgrad.results.tables import make_tables
from html_tree import Tree
from report_pages import ACCURACY, POINTS, RECORDS, a_page, a_record, a_sketch, asked_for, tables


def order(root):
    """The ids of the page's parts as a reader meets them."""
    return [e["id"] for e in root.all("section") if e.parent.tag == "main"]


def test_the_page_is_a_story(tree):
    assert order(tree) == [
        *("pictures", "how-to-read", "overview", "tables", "figures", "not-run", "runs", "setups"),
    ]
    findings = [item.text for item in tree.one("header").one("ul", id="findings").all("li")]
    assert findings == [
        "The best numbers here: 90.00 % right answers in tsp5, blackbox, where the paper prints "
        "50.0 ± 1.0.",
        "Of the 3 numbers that can be compared with printed ones, 1 lies within 2 of the printed "
        "standard deviations; of the 2 that were trained as long as the paper's, 1.",
    ]


def test_what_holds_for_all_tables_is_said_once(page, tree):
    assert page.count("population standard deviation over the seeds") == 1
    facts = [p.text for p in tree.all("p", **{"class": "table-facts"})]
    assert "Profile paper, data regenerated. Shown: right answers in %; 3 seeds are planned." in (
        facts
    )
    assert "not compared" not in page


def test_what_says_little_is_hidden_and_nothing_is_lost(tree):
    section = tree.one("section", id="tables")
    (less,) = section.all("details", **{"class": "less"})
    assert less.children[0].text == "Hidden: 1 table of profile smoke"
    assert "open" not in less.attributes
    assert [s["id"] for s in less.all("section")] == ["table6-smoke-regenerated"]
    (shown,) = [s for s in section.all("section") if s not in less.all("section")]
    assert shown["id"] == "table6-paper-regenerated"
    # Of 2 rows and 2 columns one row has no run.
    assert [len(row.all("td", **{"data-runs": True})) for row in shown.all("tr")] == [0, 2]
    (aside,) = shown.all("details")
    assert aside.one("summary").text == "Not run, and not shown: 2 of 4 numbers"
    assert [item.text for item in aside.all("li")] == ["tsp10, identity", "tsp10, blackbox"]
    assert "open" not in aside.attributes


def test_a_figure_of_one_point_is_hidden_and_none_of_many():
    many = Drawing(a_sketch(), "paper", "regenerated", svg="<svg/>")
    one = Drawing(a_sketch(name="figure4b"), "paper", "regenerated", svg="<svg/>", single=True)
    quick = Drawing(a_sketch(name="figure4c"), "smoke", "regenerated", svg="<svg/>")
    root = Tree(a_page(RECORDS, [one, quick, many])).root
    assert [a["id"] for a in root.one("section", id="pictures").all("article")] == [many.id]
    (less,) = root.one("section", id="figures").all("details", **{"class": "less"})
    said = "Hidden: 1 figure of one point a line, 1 figure of profile smoke"
    assert less.children[0].text == said
    assert [a["id"] for a in less.all("article")] == [one.id, quick.id]


def test_the_words_of_a_figure_are_text_and_not_picture(tmp_path):
    drawing = Drawing(a_sketch(), "paper", "regenerated", svg="<svg/>", words=("Line: a <mean>.",))
    article = Tree(a_page(RECORDS, [drawing])).root.one("article", id=drawing.id)
    assert [item.text for item in article.one("ul", **{"class": "table-notes"}).all("li")] == [
        "Line: a <mean>."
    ]


def test_where_nothing_is_printed_is_told_below_and_not_in_each_cell():
    points = [*POINTS, {"experiment": "tsp5", "grad": "imle"}]
    records = [a_record(point) for point in points]
    (other,) = tables(records, points, "table7")
    table = Tree(a_page(records, more=[other])).root.one("section", id=other.id)
    # The printed numbers are of another table.
    assert table.one("p", **{"class": "small"}).text == "Nothing is printed beside these numbers."
    assert not table.all("span", **{"class": "paper"})
    assert "nothing printed" not in table.text
    (printed,) = tables(records, points)
    report = Report(records, [printed], [], [], Path("index.html"), "now", "abc")
    shown = Tree(to_page(report)).root.one("section", id=printed.id)
    (aside,) = shown.all("details")
    assert aside.one("summary").text == "Nothing is printed beside 1 of 5 numbers"
    assert [item.text for item in aside.all("li")] == ["tsp5, imle"]
    assert len(shown.all("span", **{"class": "paper"})) == 4


def test_every_number_of_an_open_question_leads_to_it(tmp_path):
    document = {"metrics": [ACCURACY], "rows": ["{experiment}"], "columns": ["{grad}"]}
    notes = [f"By <A-01> and A-02 (A-{77})."]
    layout = read_layout("table7", "T", "paper", 3, document | {"notes": notes})
    known = {
        "A-01": Question("What is <open>?", "Set `a=b`."),
        "A-02": Question("Two.", "Both."),
        "A-03": Question("Of nobody.", "None."),
    }
    report = Report(
        RECORDS, make_tables(layout, asked_for(POINTS), RECORDS, []), [], [],
        tmp_path / "results" / "report" / "index.html", "now", "abc",
        questions=known, protocols=tmp_path / "docs" / "protocols.md",
    )  # fmt: skip
    root = Tree(to_page(report)).root
    note = (
        root.one("section", id="table7-paper-regenerated")
        .one("ul", **{"class": "table-notes"})
        .all("li")[0]
    )
    assert note.text == notes[0]
    assert [(a["href"], a.text) for a in note.all("a")] == [("#A-01", "A-01"), ("#A-02", "A-02")]
    section = root.one("section", id="open-questions")
    assert [d["id"] for d in section.all("div")] == ["A-01", "A-02"]
    answer = section.one("div", id="A-01").one("dd")
    assert answer.text == "What is <open>? Here: Set a=b."
    assert answer.one("code").text == "a=b"
    assert section.one("a")["href"] == "../../docs/protocols.md"
    # A wheel has no page of them: then a number is text.
    plain = Tree(to_page(dataclasses.replace(report, questions={}, protocols=None))).root
    assert not plain.all("section", id="open-questions")
    assert not [a for a in plain.all("a", href=True) if a["href"].startswith("#A-")]


def test_how_much_is_reproduced_is_told_before_the_tables(tmp_path):
    given = Report([], [], [], [], tmp_path / "results" / "report" / "index.html", "now", "abc")
    assert not Tree(to_page(given)).root.all("p", id="shares")
    told = dataclasses.replace(given, shares=["Of 2 <cells> 1.", "Of 3 none."])
    assert (
        Tree(to_page(told)).root.one("p", id="shares").text.strip() == "Of 2 <cells> 1. Of 3 none."
    )
    linked = dataclasses.replace(told, details=tmp_path / "docs" / "cell by cell.md")
    link = Tree(to_page(linked)).root.one("p", id="shares").one("a")
    assert (link["href"], link.text) == ("../../docs/cell%20by%20cell.md", "Cell by cell")
