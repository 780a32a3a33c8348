"""The public names, which versions are counted by, and what a release says of itself."""

import importlib
import inspect
import re
from pathlib import Path

import yaml

import combgrad

ROOT = Path(__file__).parents[1]
LISTED = Path(__file__).with_name("public_names.txt")
PAPER = "Backpropagation through Combinatorial Algorithms: Identity with Projection Works"
#: A heading of the changelog: its version, or "Unreleased", and its date.
HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")


def public_names():
    rooms = [name for name in combgrad.__all__ if inspect.ismodule(getattr(combgrad, name))]
    modules = ["combgrad", *(f"combgrad.{room}" for room in [*rooms, "results"])]
    return {f"{m}.{name}" for m in modules for name in importlib.import_module(m).__all__}


def remedy(gone, new):
    """What to do about names that are not as listed."""
    said = []
    if gone:
        said.append(
            f"{', '.join(sorted(gone))}: listed and gone. Users' code breaks: keep the name, or "
            f"say it in CHANGELOG.md under Removed, raise the version (its minor part below 1.0, "
            f"else its major one) and take the name out of {LISTED.name}."
        )
    if new:
        said.append(
            f"{', '.join(sorted(new))}: new and not listed. Say it in CHANGELOG.md under Added, "
            f"add the name to {LISTED.name}, and raise the minor version with the next release."
        )
    return "\n".join(said)


def test_the_public_names_are_those_listed():
    listed = LISTED.read_text(encoding="utf-8").splitlines()
    assert len(set(listed)) == len(listed) > 100
    names = public_names()
    assert names == set(listed), remedy(set(listed) - names, names - set(listed))


def test_every_listed_name_can_be_imported():
    for name in LISTED.read_text(encoding="utf-8").splitlines():
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


def test_a_change_of_names_is_told_with_what_to_do():
    told = remedy({"combgrad.solvers.TSP"}, {"combgrad.solvers.SAT"}).splitlines()
    assert "combgrad.solvers.TSP: listed and gone" in told[0]
    assert "Removed" in told[0]
    assert "combgrad.solvers.SAT: new and not listed" in told[1]
    assert "Added" in told[1]


def test_the_changelog_has_the_version_and_its_kinds_of_changes():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = HEADING.findall(text)
    versions = [version for version, _ in found]
    assert len(found) == len(re.findall(r"^## ", text, re.MULTILINE))
    assert [bool(date) for version, date in found] == [v != "Unreleased" for v in versions]
    assert combgrad.__version__ in versions or versions == ["Unreleased"]
    assert "Unreleased" not in versions[1:]
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= set(KINDS)


def test_the_citation_has_the_version_and_the_papers_address_and_invents_no_other():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = yaml.safe_load(text)
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["title"].startswith("combgrad")
    assert cited["license"] == "MIT"
    assert "the combgrad authors" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert cited["authors"] == [{"name": "the combgrad authors"}]
    (paper,) = cited["references"]
    assert (paper["title"], paper["year"]) == (PAPER, 2023)
    families = [author["family-names"] for author in paper["authors"]]
    assert families == ["Sahoo", "Paulus", "Vlastelica", "Musil", "Kuleshov", "Martius"]
    assert re.findall(r"\S*://\S*", text) == [paper["url"]]
    assert paper["url"].removeprefix("https://arxiv.org/abs/") == "2205.15213"
    assert [one["value"] for one in paper["identifiers"]] == ["arXiv:2205.15213"]
    assert cited["version"] == combgrad.__version__


def test_what_contributors_are_told_to_type_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert set(re.findall(r"^make ([a-z-]+)(?= |$)", text, re.M)) <= targets
        assert "make quick" in text
    for template in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"):
        head = yaml.safe_load(template.read_text(encoding="utf-8").split("---")[1])
        assert {"name", "about"} <= set(head)
