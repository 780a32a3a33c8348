"""The site has every page and every public name, and no link of it leads nowhere."""

import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest
import yaml

import combgrad
from doc_pages import DOCS, PAGES, ROOT, prose
from loading import loaded

#: Modules whose `__all__` is public, each of whose names has a place on a page of the reference.
ROOMS = [name for name in combgrad.__all__ if inspect.ismodule(getattr(combgrad, name))]
PUBLIC = {
    f"combgrad.{room}.{name}"
    for room in [*ROOMS, "results"]
    for name in importlib.import_module(f"combgrad.{room}").__all__
}
PUBLIC |= {
    f"combgrad.{name}" for name in combgrad.__all__ if name not in ROOMS and name != "__version__"
}
#: An error is told once, with the others, and the pool with the solvers.
TWICE = {f"combgrad.{name}" for name in combgrad.errors.__all__} | {"combgrad.losses.SolutionPool"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


class Loader(yaml.SafeLoader):
    """Takes the tags that only MkDocs knows for what they stand at."""


Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def navigation():
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)

    def pages(entry):
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(value)

    return [*pages(config["nav"])]


def anchors(page):
    """The anchors of a page's headings, as Markdown makes them."""
    found = set()
    for title in re.findall(r"^#+ (.*)$", PAGES[page], re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", title.replace("`", "")).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", words))
    return found


def test_every_page_stands_in_the_navigation_once():
    named = [place for place in navigation() if place.endswith(".md")]
    assert len(set(named)) == len(named)
    missing = set(PAGES) - set(named)
    assert not missing, f"name {missing} under `nav` in mkdocs.yml"
    assert not set(named) - set(PAGES)
    assert {*navigation()} - {*named} == {"results/report/index.html"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (DOCS / page).parent
    for link in (a or b for a, b in LINK.findall(prose(page))):
        assert not link.startswith("/"), link
        if re.match(r"\w+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (folder / place).resolve() if place else DOCS / page
        inside = target.is_relative_to(DOCS) or target.is_relative_to(ROOT / "results")
        assert target.exists(), link
        assert inside, f"{link}: the site has docs/ and what its hooks show of results/"
        if anchor:
            assert anchor in anchors(target.relative_to(DOCS).as_posix()), link


@pytest.mark.parametrize("page", PAGES)
def test_no_text_is_taken_for_a_tag(page):
    tags = set(re.findall(r"</?([a-zA-Z][^>\n]*)>", prose(page)))
    assert {tag.split()[0] for tag in tags} <= {"iframe", "br"}, "write ⟨w, y⟩"


def test_every_public_name_has_its_place_in_the_reference():
    told = [name for page in PAGES.values() for name in re.findall(r"^::: (\S+)$", page, re.M)]
    assert len(set(told)) == len(told)
    assert set(told) == PUBLIC - TWICE
    assert len(told) > 100


def described(thing):
    return bool((inspect.getdoc(thing) or "").strip())


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_is_described_with_its_methods(name):
    module, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(module), last)
    assert described(thing), name
    if inspect.isclass(thing):
        own = [key for key in vars(thing) if not key.startswith("_")]
        for key in own:
            member = inspect.getattr_static(thing, key)
            if inspect.isfunction(member) or isinstance(member, property | staticmethod):
                assert described(getattr(thing, key)), f"{name}.{key}"


def test_the_version_stands_in_one_place():
    named = [
        path.relative_to(ROOT).as_posix()
        for path in [ROOT / "mkdocs.yml", ROOT / "pyproject.toml", *DOCS.rglob("*")]
        if path.suffix in {".md", ".yml", ".toml", ".html", ".js"}
        and re.search(rf"\b{re.escape(combgrad.__version__)}\b", path.read_text(encoding="utf-8"))
    ]
    assert named == []


def test_a_link_to_a_table_leads_to_the_one_on_the_report_with_most_numbers():
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    hooks = loaded(DOCS / "tools" / "hooks.py")

    def section(name, *marks):
        cells = "".join(f'<td class="cell mark-{mark}" id="{name}-0-0">' for mark in marks)
        return f'<section class="result-table" id="{name}" data-table="7">{cells}</section>'

    report = (
        section("table7-paper-regenerated", "inside", "no-run", "no-run")
        + section("table7-reduced-regenerated", "outside", "no-paper best", "no-run")
        + section("table7_more-reduced-original", "inside", "inside", "inside")
    )
    assert hooks.anchor(report, "table7") == "#table7-reduced-regenerated"
    assert hooks.anchor(report, "table7_more") == "#table7_more-reduced-original"
    assert hooks.anchor(report, "table") == ""


def test_make_docs_builds_a_site_that_loads_nothing_from_elsewhere(tmp_path):
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python", "latex2mathml"):
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            pytest.skip("the extra `docs` is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    pages = [path for path in tmp_path.rglob("*.html") if "report" not in path.parts]
    assert len(pages) > len(PAGES)
    for path in pages:
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(
            r'<(?:script|img|iframe|link|source)\b[^>]*?(?:src|href)="(\w+:[^"]*)"', text
        )
        assert [place for place in loaded if not place.startswith("data:")] == [], path
    assert "&lt;w, y&gt;" in (tmp_path / "api" / "solvers.html").read_text(encoding="utf-8")
    assert (tmp_path / "results" / "figures" / "figure2.png").is_file()
    report = tmp_path / "results" / "report" / "index.html"
    led = set(re.findall(r'href="(\.\./\.\./[\w/.-]+)"', report.read_text(encoding="utf-8")))
    back = {"../../index.html", "../../results.html"}
    assert led == {"../../protocols.html", "../../reproduction.html"} | back
    assert all((report.parent / place).is_file() for place in led)
    ids = set(re.findall(r' id="([^"]+)"', report.read_text(encoding="utf-8")))
    results = (tmp_path / "results.html").read_text(encoding="utf-8")
    to_tables = set(re.findall(r'href="results/report/index\.html#(table[^"]*)"', results))
    assert len(to_tables) > 5
    assert to_tables <= ids
    figures = re.findall(r'<a href="([^"]+)"><img[^>]* src="\1"', results)
    assert len(figures) == results.count("<img") > 5
    changes = (tmp_path / "changelog.html").read_text(encoding="utf-8")
    assert "combgrad warmup" in changes
    cited = (tmp_path / "citing.html").read_text(encoding="utf-8")
    assert "cff-version" in cited
    assert "--8&lt;--" not in changes + cited
    assert "<math" in (tmp_path / "mathematics.html").read_text(encoding="utf-8")
    assert combgrad.__version__ in (tmp_path / "index.html").read_text(encoding="utf-8")


def docstrings(part, name):
    """The docstrings of a public name, and of the methods and properties of a class."""
    yield name, inspect.getdoc(part) or ""
    if inspect.isclass(part):
        for key, value in vars(part).items():
            if inspect.isroutine(value) or isinstance(value, property):
                yield f"{name}.{key}", inspect.getdoc(value) or ""


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_no_comparison_in_a_docstring_is_taken_for_a_quotation(name):
    """A line, or the description of an argument, that begins with > is one in Markdown."""
    module, _, last = name.rpartition(".")
    for place, text in docstrings(getattr(importlib.import_module(module), last), name):
        assert not re.search(r"^\s*(\w+: *)?>", text, re.MULTILINE), place
