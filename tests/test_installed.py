"""The command `combgrad`, and what an installed package finds beside itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import combgrad
from combgrad.files.installation import CONFIG_FOLDER, INSTALLED, extra, program

COMMAND = "from combgrad.sweeps.main import main; main()"


def called(words, before="", **environment):
    return subprocess.run(
        [sys.executable, "-c", before + COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the package as a wheel holds it."""
    folder = tmp_path_factory.mktemp("site-packages")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(combgrad.__file__).parent, folder / "combgrad", ignore=ignored)
    shutil.copytree(CONFIG_FOLDER, folder / "combgrad" / "configs")
    return folder


def test_a_checkout_is_told_from_an_installation(installed):
    assert not INSTALLED
    assert [program(), program("tables")] == ["python train.py", "python scripts/tables.py"]
    assert extra("sweep") == "pip install -c constraints.txt -e '.[sweep]'"
    code = "from combgrad.files.installation import *; print(CONFIG_FOLDER, program(), extra('x'))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    home = installed / "combgrad" / "configs"
    assert found.stdout == f"{home} combgrad pip install 'combgrad[x]'\n"


def test_an_installation_speaks_of_its_own_command(installed):
    done = called(["table=6"], PYTHONPATH=str(installed))
    assert done.returncode == 1
    assert done.stderr.startswith("error: table=6 is for sweeps: combgrad -m table=6 ...\n")
    done = called(["experiment=tsp6"], PYTHONPATH=str(installed))
    assert ", listed by: combgrad --help\n" in done.stderr
    shown = called(["experiment=tsp10", "--cfg", "job"], PYTHONPATH=str(installed))
    assert "cities: 10" in shown.stdout, shown.stderr


@pytest.mark.parametrize("word", ["tables", "figures", "report", "warmup"])
def test_the_first_word_chooses_what_is_shown(word):
    shown = called([word, "--help"])
    assert shown.returncode == 0, shown.stderr
    assert f"usage: combgrad {word} " in shown.stdout


def test_the_bare_library_can_compile_its_solvers():
    bare = "import sys; sys.modules.update(dict.fromkeys(['hydra', 'tqdm', 'pandas', 'rich']))\n"
    done = called(["warmup", "--help"], before=bare)
    assert done.returncode == 0, done.stderr
    assert "graph_matching" in done.stdout


def test_without_the_experiments_extra_its_name_is_told():
    done = called(["experiment=tsp5"], before="import sys; sys.modules['hydra'] = None\n")
    assert done.returncode == 1
    assert done.stderr == (
        "error: there is no hydra, which experiments need: "
        "pip install -c constraints.txt -e '.[experiments]'\n"
    )


#: As on Windows.
NO_LOCKS = "import sys; sys.modules['fcntl'] = None\n"


@pytest.mark.parametrize("words", [["experiment=tsp5"], ["-m", "table=6"], ["tables", "6"]])
def test_a_system_without_file_locks_is_told_where_experiments_run(words):
    done = called(words, before=NO_LOCKS)
    assert done.returncode == 1
    assert done.stderr == (
        "error: experiments need the file locks of Linux or macOS, which this system lacks; on "
        "Windows run them in WSL (docs/install.md).\n"
    )


def test_solvers_layers_and_losses_do_without_file_locks():
    code = (
        "import torch\n"
        "from combgrad import CombinatorialLayer, gradients, losses, projections, solvers\n"
        "layer = CombinatorialLayer(solvers.TopK(2), gradients.Identity(), projections.Std())\n"
        "print(losses.SPOPlus().__class__.__name__, layer(torch.tensor([[3.0, 1, 2]])).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", NO_LOCKS + code], capture_output=True, text=True)
    assert done.stdout == "SPOPlus [[0.0, 1.0, 1.0]]\n", done.stderr
