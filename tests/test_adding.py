"""docs/adding.md, followed to the letter in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from combgrad.runs.configuration import CONFIG_FOLDER

ROOT = CONFIG_FOLDER.parent
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
#: path -> content: a paragraph that opens with a path and the block after it.
BLOCKS = re.findall(r"^`([\w./]+)`[^\n]*:\n\n```\w+\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL)
#: The only files that are there before.
CHANGED = {
    "src/combgrad/solvers/__init__.py",
    "src/combgrad/gradients/__init__.py",
    "tests/contract.py",
    "tests/parts.py",
}


def call(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The project with all that the page adds."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("src", "configs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for name, content in BLOCKS:
        path = folder / name
        assert path.exists() == (name in CHANGED), name
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(content)
    return folder


def test_the_page_has_every_file():
    names = [name for name, _ in BLOCKS]
    assert len(names) == len(set(names)) == 15
    assert set(names) > CHANGED
    for _, content in BLOCKS:
        assert max(map(len, content.splitlines())) <= 100


def test_the_worked_experiment_learns(project):
    code = """
import combgrad.solvers, combgrad.gradients
from combgrad.runs.configuration import compose
from combgrad.runs.run import run
words = ["experiment=window4", "profile=smoke", "grad=sign", "logger=none", "pictures=false"]
record = run(compose(words))
assert record.name == "window4-sign-std-none-smoke-seed0", record.name
accuracy = record.curves["val/window_accuracy"]
assert accuracy[-1] > 0.7, accuracy
"""
    call(project, "-c", code)


def test_the_tests_of_all_parts_take_the_new_ones(project):
    files = ["configs/test_compose.py", "configs/test_plans.py", "unit/test_gradients.py"]
    files.append("solvers/test_contract.py")
    paths = [f"tests/{file}" for file in [*files, "unit/test_learning.py"]]
    chosen = "window or table9 or (sign and not signature) or has_a_plan or unknown_numbers"
    text = call(
        project, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-rA", "-k", chosen, *paths
    )
    for name in ("window", "sign", "table9"):
        assert re.search(rf"^PASSED .*\[.*{name}", text, re.MULTILINE), name
