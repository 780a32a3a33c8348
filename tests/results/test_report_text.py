"""The report's page needs no other, and takes what a record says for text."""

import base64
import dataclasses
import re
from hashlib import sha256

import pytest

from combgrad.results import RunRecord
from combgrad.results.report_runs import run_id
from html_tree import Tree
from report_pages import POINTS, RECORDS, a_page, a_record


def test_the_page_loads_nothing(page, tree):
    loaded = [
        e[name] for name in ("src", "srcset", "data", "poster") for e in tree.all(**{name: True})
    ]
    loaded += [e["href"] for e in tree.all("link")]
    assert loaded
    assert all(address.startswith("data:") for address in loaded)
    style = tree.one("style").text
    assert not re.search(r"url\(|@import|@font-face", style)
    assert not re.search(r"https?:", page)
    policy = tree.one("meta", **{"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none'")
    assert not [e for e in tree.all("a", href=True) if ":" in e["href"]]


EVIL = "</code></script></style></title><script>alert(1)</script>&amp; \"quoted\" 'x' {{ 7 * 6 }}"


def test_what_a_record_says_is_text_and_nothing_else():
    record = a_record(
        POINTS[0],
        command=EVIL,
        commit=EVIL,
        profile='paper" onclick="x',
        hardware={EVIL: EVIL},
        metrics={f"test/{EVIL.replace('/', '')}": 1.0},
        started=EVIL,
    )
    root = Tree(a_page([record])).root
    assert len(root.all("script")) == 1
    assert [e for e in root.all() if "onclick" in e.attributes] == []
    run = root.one("details", id=run_id(record))
    assert run.one("pre").text == EVIL
    assert run.one("tbody").one("th").text == EVIL.replace("/", "")
    assert EVIL in run.one("dl").text
    assert root.one("select", name="profile").all("option")[1]["value"] == 'paper" onclick="x'


#: Those that hold text, and the seed, which is printed as it is.
TEXTS = sorted({f.name for f in dataclasses.fields(RunRecord)} - {"best_epoch", "path"})


@pytest.mark.parametrize("field", TEXTS)
def test_no_field_of_a_record_is_markup(field, tree):
    """Reading a record checks its types; the page does not rely on it."""
    record = a_record(POINTS[0], resumed_at=[1])
    object.__setattr__(record, field, poisoned(getattr(record, field)))
    page = a_page([record])
    assert "<script>alert" not in page
    assert "{{" not in page.replace("{{ 7 * 6 }}", "")
    # Where the record fits no cell the tables are empty, as on a page without a record.
    harmless = [*tree.all(), *Tree(a_page([])).root.all()]
    known = {(e.tag, name) for e in harmless for name in ("", *e.attributes)}
    root = Tree(page).root
    assert {(e.tag, name) for e in root.all() for name in ("", *e.attributes)} <= known
    assert len(root.all("script")) == 1


def poisoned(value):
    """The evil text, or a container of the same kind that holds it wherever a text can stand."""
    if isinstance(value, dict):
        return {**{key: poisoned(inner) for key, inner in value.items()}, EVIL: 1.0}
    if isinstance(value, list):
        return [EVIL] if all(isinstance(inner, int) for inner in value) else value
    return value if isinstance(value, float) else EVIL


def test_a_browser_is_told_the_only_script_that_may_run():
    page = a_page(RECORDS)
    root = Tree(page).root
    script = root.one("script").text
    digest = base64.b64encode(sha256(script.encode("utf-8")).digest()).decode()
    policy = root.one("meta", **{"http-equiv": "Content-Security-Policy"})["content"]
    (scripts,) = re.findall(r"script-src ([^;]*)", policy)
    assert scripts == f"'sha256-{digest}'"
