"""The page of the command line has all that can be typed."""

import re

import pytest

from combgrad.runs.configuration import CONFIG_FOLDER
from doc_pages import PAGES

GROUPS = sorted(path.name for path in CONFIG_FOLDER.iterdir() if path.is_dir())
KEYS = re.findall(r"^(\w+):", (CONFIG_FOLDER / "train.yaml").read_text(encoding="utf-8"), re.M)
#: What stands in the first column of the page's tables.
NAMED = {
    name.partition("/")[0]
    for row in re.findall(r"^\| (`[^|]*) \|", PAGES["command-line.md"], re.MULTILINE)
    for name in re.findall(r"`([^`]+)`", row)
}


@pytest.mark.parametrize("name", sorted({*GROUPS, *KEYS} - {"defaults"}))
def test_the_page_has_a_row_of_every_group_and_every_key(name):
    assert name in NAMED, f"docs/command-line.md has no row of {name}"


def test_the_page_names_nothing_that_is_not_there():
    assert len(GROUPS) > 20
    assert len(KEYS) > 20
    assert {*GROUPS, *KEYS} >= NAMED


@pytest.mark.parametrize("group", ["solver", "model", "noise", "optimizer", "task", "trainer"])
def test_every_option_of_a_group_stands_in_its_row(group):
    (row,) = re.findall(rf"^\| `{group}`.*$", PAGES["command-line.md"], re.MULTILINE)
    options = {path.stem for path in (CONFIG_FOLDER / group).glob("*.yaml")}
    assert options - set(re.findall(r"`([^`]+)`", row)) == set()
