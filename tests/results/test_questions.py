"""What the paper leaves open, as the report reads it from its page."""

import re

from combgrad.results.questions import PROTOCOLS, Question, answered, cited, linked, read_questions

PAGE = r"""# Open

| id | what is open | what we do |
| --- | --- | --- |
| A-02 | The loss \|y - y\*\|, or not. | As it is (`loss=hamming`); [below](#a-02-more). |
| A-01 | One [of two](other.md#place). | <b> See A-02. |

Not a row: A-03.
"""


def test_questions_are_read_from_the_page(tmp_path):
    page = tmp_path / "protocols.md"
    page.write_text(PAGE, encoding="utf-8")
    assert read_questions(page) == {
        "A-01": Question("One of two.", "<b> See A-02."),
        "A-02": Question("The loss |y - y*|, or not.", "As it is (`loss=hamming`)."),
    }
    assert list(read_questions(page)) == ["A-01", "A-02"]
    assert read_questions(tmp_path / "none.md") == {}


def test_every_question_of_the_project_is_read():
    found = read_questions()
    rows = re.findall(r"^\| (A-\d\d) \|", PROTOCOLS.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(found) == sorted(rows)
    assert all(question.open and question.here for question in found.values())
    assert not [q for q in found.values() if re.search(r"\]\(|\\", q.open + q.here)]


def test_those_that_are_named_are_kept():
    known = {f"A-0{n}": Question("", "") for n in range(1, 5)}
    assert list(cited(["A-03, A-01", "A-013 and BA-02", "none"], known)) == ["A-01", "A-03"]
    known["A-01"], known["A-04"] = Question("", "See A-04."), Question(f"Or A-01, A-{77}?", "")
    assert list(cited(["A-01"], known)) == ["A-01", "A-04"]


def test_texts_are_escaped_before_they_are_marked_up():
    assert linked("<i> A-01, A-09", ["A-01"]) == '&lt;i&gt; <a href="#A-01">A-01</a>, A-09'
    found = '<code>a&lt;b</code> &amp; <a href="#A-01">A-01</a>, A-02'
    assert answered("`a<b` & A-01, A-02", ["A-01"]) == found
