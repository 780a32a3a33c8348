"""`combgrad warmup` compiles what solvers need, keeps it, and is told what there is."""

import os
import subprocess
import sys

import pytest

from combgrad.sweeps.warm_calls import CALLS

COMMAND = "from combgrad.sweeps.main import main; main()"
#: Ctrl-C as soon as one function is kept and the next one is about to be compiled.
INTERRUPTED = """
import os, pathlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
from numba.core import event
class Stop(event.Listener):
    def on_start(self, event):
        if any(pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi")):
            os.kill(os.getpid(), signal.SIGINT)
    def on_end(self, event):
        pass
event.register("numba:compile", Stop())
"""
#: What the rows of the contract table have compiled after the calls of their name.
COVERED = """
import sys
sys.path.insert(0, "tests")
import torch
from combgrad.solvers.kernels import compiling
made, make = [], compiling.make
compiling.make = lambda *given: made.append(make(*given)) or made[-1]
from combgrad.sweeps.warm_calls import CALLS
from contract import ROWS

def compiled():
    return {(d.py_func.__qualname__, signature) for d in made for signature in d.overloads}

def solve(row, solver, costs):
    instances = row.instances(len(costs))
    solver(costs, instances)
    solver.solve_near(costs, torch.zeros_like(costs), instances)

def name_of(solver):
    name = type(solver).__name__
    name = {"TSP": "Tsp", "ILP": "Ilp", "TopK": "Topk"}.get(name, name)
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).strip("_")

rows = {name: [] for name in CALLS}
for key, row in ROWS.items():
    rows.setdefault(name_of(row.solver), []).append((key, row))
for name, own in rows.items():
    for call in CALLS.get(name, lambda: [])():
        call()
    before = compiled()
    for key, row in own:
        for threads in (1, 2) if hasattr(row.solver, "threads") else (None,):
            if threads:
                row.solver.threads = threads
            for dtype in (torch.float32, torch.float64):
                costs = torch.rand(2, *row.shape, dtype=dtype)
                costs[1] = 0.1
                solve(row, row.solver, costs)
                assert compiled() == before, (key, threads, dtype, compiled() - before)
assert len(before) > len(CALLS)
print("covered")
"""


def called(words, folder, before=""):
    return subprocess.run(
        [sys.executable, "-c", before + COMMAND, "warmup", *words],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
    )


def kept(folder):
    return {path.name for path in folder.rglob("*.nbi")}


def test_what_was_compiled_is_kept_and_an_interruption_loses_nothing(tmp_path):
    stopped = called(["energy_scheduling"], tmp_path, before=INTERRUPTED)
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert "the same command goes on" in stopped.stderr
    some = kept(tmp_path)
    assert some
    done = called(["energy_scheduling"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("compiled ")
    assert str(tmp_path) in done.stdout
    everything = kept(tmp_path)
    assert some < everything
    again = called(["energy_scheduling"], tmp_path)
    assert again.stdout.startswith("all was compiled already, and is kept in ")
    assert kept(tmp_path) == everything


def test_a_wrong_name_is_told_the_right_ones(tmp_path):
    done = called(["tpsp"], tmp_path)
    assert done.returncode == 2
    assert "there is nothing to compile for 'tpsp'. Did you mean tsp? There are tsp," in done.stderr
    assert all(name in done.stderr for name in CALLS)


def test_without_a_place_nothing_is_compiled_in_vain(tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    code = (
        "from combgrad.solvers.kernels import keeping\nkeeping._folders = lambda here: iter([])\n"
    )
    done = called([], blocked, before=code)
    assert done.returncode == 1
    assert "set NUMBA_CACHE_DIR" in done.stderr


@pytest.mark.timeout(1200)
def test_the_calls_compile_all_that_solvers_need():
    done = subprocess.run(
        [sys.executable, "-c", COVERED], capture_output=True, text=True, timeout=1180
    )
    assert done.stdout == "covered\n", done.stderr
