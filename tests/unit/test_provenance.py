"""The commit in a record is that of this code, and of no other repository around it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from combgrad.runs import provenance

PATH = "/usr/local/bin:/usr/bin:/bin"
SHOW = "from combgrad.runs.provenance import commit; print(commit())"


def git(folder, *words):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def copied(tmp_path):
    """A repository of a user's own, with a copy of the package in an ignored folder, and out."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("env\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "mine")
    room = tmp_path / "env" / "combgrad" / "runs"
    room.mkdir(parents=True)
    shutil.copy(Path(provenance.__file__), room / "provenance.py")
    for folder in (room, room.parent):
        (folder / "__init__.py").write_text("")
    return tmp_path


def shown(folder) -> str:
    command = [sys.executable, "-c", SHOW]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=folder, env={"PATH": PATH}
    )
    return found.stdout.strip()


def test_an_installed_copy_inside_another_repository_has_no_commit(copied):
    assert shown(copied / "env") == "unknown"


def test_a_tracked_file_has_the_commit_of_its_repository(copied):
    git(copied, "add", "-f", "env")
    git(copied, "commit", "-qm", "with the package")
    head = git(copied, "rev-parse", "HEAD").strip()
    assert shown(copied / "env") == head
    (copied / "env" / "combgrad" / "__init__.py").write_text("# changed\n")
    assert shown(copied / "env") == f"{head}+changes"


def test_a_hook_of_another_repository_does_not_mislead(copied, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(copied / ".git"))
    assert provenance.commit() != git(copied, "rev-parse", "HEAD").strip()


def test_the_hardware_says_what_a_run_could_use_of_it(monkeypatch):
    monkeypatch.setattr(provenance.os, "getloadavg", lambda: (1.234, 9, 9), raising=False)
    found = provenance.hardware("CPUAccelerator")
    assert found["load"] == 1.23
    assert found["threads"] == torch.get_num_threads()
    assert "card" not in found
    monkeypatch.delattr(provenance.os, "getloadavg")
    assert "load" not in provenance.hardware("CPUAccelerator")


def test_the_hardware_names_the_card_that_a_network_lay_on(monkeypatch):
    names = {0: "Card A", 1: "Card B"}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index])
    found = provenance.hardware("CUDAAccelerator", torch.device("cuda", 1))
    assert found["card"] == "Card B"
