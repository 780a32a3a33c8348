"""The first minute: what an import, `--help`, a smoke run and the first call of a solver take."""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.cases import Call, Case, Implementation, Plan, Probe, Row
from combgrad.sweeps.warm_calls import CALLS

ROOT = Path(__file__).resolve().parents[1]

#: What is imported in a process of its own, the reference first.
IMPORTS = (
    "import torch",
    "import combgrad",
    "from combgrad import CombinatorialLayer",
    "from combgrad.solvers import TSP",
)
COMMANDS = {"--help": ["--help"], "smoke run": ["experiment=tsp5", "profile=smoke"]}

#: The first call of a solver is another one where it has a second method.
SECOND_METHODS = {"tsp, 12 cities": ("tsp", 2)}

FIRST_CALL = """
import sys, time
from itertools import islice
from combgrad.sweeps.warm_calls import CALLS
call = next(islice(CALLS[sys.argv[1]](), int(sys.argv[2]), None))
started = time.perf_counter()
call()
print(time.perf_counter() - started)
"""


def _process(*words: str, folder: str | None = None, **environment: str) -> str:
    """What a Python process of its own says; CalledProcessError where it fails."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=folder, env=variables, check=True, capture_output=True, text=True
    )
    return done.stdout


def _timed(name: str, *words: str) -> Implementation:
    """A process in a folder of its own, which leaves nothing."""

    def prepare(costs: Tensor) -> Call:
        def call() -> Tensor:
            with tempfile.TemporaryDirectory() as folder:
                _process(*words, folder=folder)
            return costs

        return call

    return Implementation(name, prepare)


def _imports() -> Case:
    ways = tuple(_timed(words, "-c", words) for words in IMPORTS)
    return Case("start, import", 1, torch.zeros(1, 1), ways, random=True)


def _commands() -> Case:
    script = str(ROOT / "train.py")
    ways = tuple(_timed(name, script, *words) for name, words in COMMANDS.items())
    return Case("start, train.py", 1, torch.zeros(1, 1), ways, random=True)


def first_calls(name: str, index: int) -> list[float]:
    """The seconds of a solver's first call in a process: with nothing compiled, and once it is."""
    with tempfile.TemporaryDirectory() as folder:
        words = ("-c", FIRST_CALL, name, str(index))
        return [float(_process(*words, NUMBA_CACHE_DIR=folder)) for _ in range(2)]


def _first_call(title: str, name: str, index: int) -> list[Row]:
    empty, kept = (1e3 * seconds for seconds in first_calls(name, index))
    what = f"first call, {title}"
    return [
        Row(what, 1, 2, "nothing compiled", 1, empty, empty, 1.0, None),
        Row(what, 1, 2, "compiled before", 1, kept, kept, kept / empty, None),
    ]


def first_minute_plans(threads: int) -> list[Plan | Probe]:
    """Imports and commands by the number of their repetitions, first calls once each."""
    del threads  # a first call compiles the code for one
    calls = {**{name: (name, 0) for name in CALLS}, **SECOND_METHODS}
    return [
        Plan("import", _imports, quick=True),
        Plan("train.py", _commands),
        *(
            Probe(f"first call of {title}", partial(_first_call, title, *given))
            for title, given in calls.items()
        ),
    ]
