"""What tests of tables, figures and report share."""

import sys
import warnings

import pytest

from combgrad.results.drawings import Drawing
from combgrad.runs.configuration import CONFIG_FOLDER
from exit_status import status_of
from html_tree import Tree
from loading import loaded
from report_pages import RECORDS, a_page, a_sketch


@pytest.fixture
def run_script(monkeypatch, capsys):
    """Calls a script of ours here; its exit status and what it printed to each stream."""
    # The scripts set it for good.
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)

    def call(name, *words):
        path = CONFIG_FOLDER.parent / "scripts" / f"{name}.py"
        script = loaded(path)
        monkeypatch.setattr(sys, "argv", [path.name, *map(str, words)])
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = _shown
            status = status_of(script.main)
        return status, *capsys.readouterr()

    return call


def _shown(message, *_, **__):
    print(f"warning: {message}", file=sys.stderr)


@pytest.fixture(scope="module")
def page():
    drawing = Drawing(a_sketch(), "paper", "regenerated", svg="<svg>§ & more</svg>")
    return a_page(RECORDS, [drawing])


@pytest.fixture(scope="module")
def tree(page):
    return Tree(page).root
