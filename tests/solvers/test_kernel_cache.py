"""Compiled code is kept where that is possible, and found again for the same sources only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from combgrad.solvers.kernels import compiling, keeping, kernel

ROOM = Path(keeping.__file__).parent
#: What compiles and keeps kernels; all other files of the room are kernels.
MACHINERY = ("__init__.py", "compiling.py", "keeping.py", "linking.py")
CALLED = """
from combgrad.solvers.kernels import kernel


@kernel(inner=True)
def weight(n):
    return {weight} * n
"""
CALLER = """
from combgrad.solvers.kernels import kernel
from combgrad.solvers.kernels.called import weight


@kernel()
def total(n):
    return weight(n) + weight(1)
"""
RUN = """
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from combgrad.solvers.kernels.caller import total
    answer = total(3)
    from combgrad.solvers.kernels.keeping import place
assert (place() is not None) == (not any("no folder" in str(one.message) for one in said))
hits = len(total.dispatcher.stats.cache_hits)
print(answer, hits, len(said), *(str(one.message) for one in said))
"""
ELF = b"\x7fELF"


class Copy:
    """A package of two kernels, one in a file of its own that the other inlines."""

    def __init__(self, folder):
        self.room = folder / "package" / "combgrad" / "solvers" / "kernels"
        self.room.mkdir(parents=True)
        for package in (self.room.parent, self.room.parent.parent):
            (package / "__init__.py").touch()
        for name in MACHINERY:
            shutil.copy(ROOM / name, self.room)
        shutil.copy(ROOM.parent / "notices.py", self.room.parent)
        (self.room / "caller.py").write_text(CALLER)
        self.weigh(2)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(folder / "package"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def weigh(self, weight):
        (self.room / "called.py").write_text(CALLED.format(weight=weight))

    def run(self):
        """What total(3) is, how much of it was found compiled, how many warnings; their text."""
        answer = subprocess.run(
            [sys.executable, "-c", RUN],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert answer.returncode == 0, answer.stderr
        total, found, count, *text = answer.stdout.split(maxsplit=3)
        return int(total), int(found), int(count), "".join(text)


@pytest.fixture
def package(tmp_path):
    return Copy(tmp_path)


def block(place):
    """Make a folder impossible, for root too."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()


def compiled(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".nbi", ".nbc"))


@pytest.mark.parametrize("place", ["asked", "package", "home"])
def test_a_changed_file_is_seen_by_its_callers_wherever_code_is_kept(package, tmp_path, place):
    folder = {
        "asked": tmp_path / "asked",
        "package": package.room / "__pycache__",
        "home": tmp_path / "home",
    }[place]
    if place == "asked":
        package.environment["NUMBA_CACHE_DIR"] = str(folder)
    if place == "home":
        block(package.room / "__pycache__")
    assert package.run() == (8, 0, 0, "")
    kept = compiled(folder)
    assert kept
    assert compiled(tmp_path) == kept
    assert package.run() == (8, 1, 0, "")
    package.weigh(5)
    assert package.run() == (20, 0, 0, "")
    assert set(kept) < set(compiled(folder))
    package.weigh(2)
    assert package.run() == (8, 1, 0, "")


def test_what_only_compiled_code_calls_is_kept_for_its_callers_without_machine_code(package):
    """When a first call is cut off, what it has compiled so far is found by the next one."""
    folder = package.room / "__pycache__"
    package.run()
    inner, outer = list(folder.rglob("*.weight-*.nbc")), list(folder.rglob("*.total-*.nbc"))
    assert [ELF in path.read_bytes() for path in inner] == [False]
    assert [ELF in path.read_bytes() for path in outer] == [True]
    for path in folder.rglob("*.total-*"):
        path.unlink()
    kept = [path.stat().st_mtime_ns for path in inner]
    assert package.run() == (8, 0, 0, "")
    assert [path.stat().st_mtime_ns for path in inner] == kept
    assert package.run() == (8, 1, 0, "")


def test_without_a_place_it_compiles_in_memory_and_says_so_once(package, tmp_path):
    block(package.room / "__pycache__")
    block(tmp_path / "home")
    package.environment["NUMBA_CACHE_DIR"] = str(tmp_path / "home" / "asked")
    total, found, warnings, text = package.run()
    assert (total, found, warnings) == (8, 0, 1)
    assert "set NUMBA_CACHE_DIR" in text
    for place in (tmp_path / "home" / "asked", package.room / "__pycache__"):
        assert str(place) in text
    assert compiled(tmp_path) == []


def test_a_home_that_nobody_knows_is_no_folder_named_tilde(package, monkeypatch, tmp_path):
    block(package.room / "__pycache__")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(keeping.numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.warns(RuntimeWarning, match="compiles its solvers anew"):
        assert keeping.find_place(package.room) is None
    assert not Path("~").exists()


def test_a_folder_of_another_user_is_not_used(package, monkeypatch, tmp_path):
    """Loading compiled code runs it, and what another user kept may be unreadable."""
    asked = tmp_path / "asked"
    monkeypatch.setattr(keeping.numba.config, "CACHE_DIR", str(asked))
    mine = keeping.find_place(package.room)
    assert mine.parent == asked
    assert mine.stat().st_mode & 0o777 == 0o700
    other = os.getuid() + 1
    mine.rename(mine.with_name(mine.name.removesuffix(str(other - 1)) + str(other)))
    monkeypatch.setattr(os, "getuid", lambda: other)
    block(package.room / "__pycache__")
    monkeypatch.setenv("XDG_CACHE_HOME", str(package.room / "__pycache__"))
    with pytest.warns(RuntimeWarning):
        assert keeping.find_place(package.room) is None


@pytest.mark.parametrize("trouble", ["cut", "unwritable"])
def test_trouble_with_kept_code_is_no_trouble_of_the_caller(package, tmp_path, trouble):
    package.environment["NUMBA_CACHE_DIR"] = str(tmp_path / "asked")
    package.run()
    for path in compiled(tmp_path):
        content = path.read_bytes()
        path.unlink()
        if trouble == "cut":
            path.write_bytes(content[:20])
        else:
            path.mkdir()
    total, found, _, text = package.run()
    assert (total, found) == (8, 0)
    assert ("compiled code is not kept" in text) == (trouble == "unwritable")
    assert package.run()[:2] == (8, int(trouble == "cut"))


def test_kernels_run_as_plain_python_for_debugging():
    code = """
import torch
from combgrad.solvers import TopK
assert TopK(1, threads=2)(torch.tensor([[3.0, 1.0], [1.0, 2.0]])).tolist() == [[0, 1], [1, 0]]
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)


@kernel()
def _twice(n):
    return 2 * n


@kernel()
def _some_twice(n):
    return _twice(1) + _twice(n)


def test_a_constant_needs_no_code_of_its_own():
    assert _some_twice(3) == 8
    assert _twice(2) == 4  # an earlier process may have compiled the other one
    assert len(_twice.signatures) == 1


#: A module of its own, as a first call prepares all kernels of a module.
POWERS = """
@kernel()
def squared(n):
    return n * n


@kernel()
def fourth_power(n):
    return squared(squared(n))
"""


def test_a_first_call_that_is_interrupted_can_be_made_again(monkeypatch):
    module = {"kernel": kernel, "__name__": "powers"}
    exec(POWERS, module)
    fourth_power, real, made = module["fourth_power"], compiling.make, []

    def interrupted(function, options):
        made.append(function)
        if len(made) > 1:
            raise KeyboardInterrupt
        return real(function, options)

    monkeypatch.setattr(compiling, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fourth_power(2)
    monkeypatch.undo()
    assert fourth_power(2) == 16


def test_threads_may_make_the_first_call_together():
    code = """
import threading
import torch
from combgrad.solvers import TopK
answers, start = [], threading.Barrier(4)
def solve():
    start.wait()
    answers.append(TopK(1)(torch.tensor([[3.0, 1.0]])).tolist())
threads = [threading.Thread(target=solve) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert answers == 4 * [[[0.0, 1.0]]], answers
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)


def test_every_kernel_is_kept_in_that_place():
    for path in ROOM.glob("*.py"):
        if path.name not in MACHINERY:
            assert "njit" not in path.read_text(encoding="utf-8"), path
