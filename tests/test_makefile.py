"""The Makefile's choice of an interpreter; its other lines are what it calls."""

import shutil
import subprocess
import sys

import pytest

from combgrad.runs.configuration import CONFIG_FOLDER

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make")


@pytest.fixture
def chosen(tmp_path):
    """What `make` does where PATH has these interpreters: name -> version, None if broken."""

    def make(interpreters, *words):
        for name, version in interpreters.items():
            pretend = f'exec {sys.executable} -c "import sys; sys.version_info = {version}; $2"'
            file = tmp_path / name
            file.write_text(f"#!/bin/sh\n{pretend if version else 'exit 127'}\n")
            file.chmod(0o755)
        return subprocess.run(
            [MAKE, "-f", str(CONFIG_FOLDER.parent / "Makefile"), *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": str(tmp_path)},
        )

    return make


@pytest.mark.parametrize(
    ("interpreters", "name"),
    [
        ({"python3.11": (3, 11, 2), "python3.12": (3, 12, 0)}, "python3.11"),
        ({"python3.11": None, "python3.13": (3, 13, 7), "python3": (3, 12, 1)}, "python3.13"),
        ({"python3": (3, 13, 0)}, "python3"),
        ({"python3.12": (3, 12, 0), "python3": (3, 10, 0)}, "python3.12"),
    ],
)
def test_the_first_interpreter_that_fits_is_taken(chosen, interpreters, name):
    done = chosen(interpreters, "-n", "check-wheel")
    assert done.returncode == 0, done.stderr
    assert f"PYTHON={name} scripts/check_wheel.sh" in done.stdout.splitlines()
    named = chosen(interpreters, "-n", "check-wheel", "PYTHON=/opt/python")
    assert "PYTHON=/opt/python scripts/check_wheel.sh" in named.stdout.splitlines()


@pytest.mark.parametrize("target", ["check-wheel", "test"])
@pytest.mark.parametrize("interpreters", [{}, {"python3": (3, 10, 9)}, {"python3": (3, 14, 0)}])
def test_without_one_the_remedy_is_told(chosen, interpreters, target, tmp_path):
    for file in ("pyproject.toml", "constraints.txt"):
        (tmp_path / file).touch()
    done = chosen(interpreters, target)
    assert done.returncode == 2
    assert "there is no Python 3.11 to 3.13; name one: make PYTHON=/path/to/python" in done.stderr
    assert not (tmp_path / ".venv").exists()
