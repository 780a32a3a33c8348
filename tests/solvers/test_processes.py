"""Solvers live through forks, threads and signals; every script has a time limit."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from combgrad.errors import SolverUnavailableError
from combgrad.solvers import ILP, GurobiTSP, Solver
from combgrad.solvers.threads import Turn

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

FORKED_POOL = """
import multiprocessing, sys
import torch
from combgrad.solvers import TSP, TopK

def total(seed):
    return [float(solver(costs).sum()) for solver, costs in ASKED]

ASKED = [(TopK(3, threads=2), torch.rand(64, 50)), (TSP(threads=2), torch.rand(64, 10))]
torch.set_num_threads(2)
torch.rand(400, 400) @ torch.rand(400, 400)
torch.rand(10**6).exp().sum()
if sys.argv[1] == "used":
    total(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(total, range(4)) == [[192.0, 320.0]] * 4
assert total(0) == [192.0, 320.0]
"""

THREADS = """
import threading
import torch
from combgrad.solvers import Cached, TopK

torch.manual_seed(0)
costs = torch.rand(2000, 50)
solvers = [TopK(3, threads=2), Cached(TopK(3, threads=2), size=50)]
expected = TopK(3, threads=1)(costs)
wrong = []

def work():
    for turn in range(20):
        for solver in solvers:
            rows = slice(turn, turn + 100) if isinstance(solver, Cached) else slice(None)
            if not torch.equal(solver(costs[rows]), expected[rows]):
                wrong.append(turn)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, wrong
"""

COUNTS = """
import torch
torch.set_num_threads(1)
from combgrad.solvers import Ranking, TopK

torch.nn.Linear(1280, 512)(torch.rand(128, 1280)).sum().backward()
for solver in (Ranking(threads=2), TopK(3, threads=2)):
    solver(torch.randn(512, 512))
    assert torch.get_num_threads() == 1, (solver, torch.get_num_threads())
"""

WORKERS = """
import multiprocessing, os, sys
import torch
from torch.utils.data import DataLoader, Dataset
from combgrad.solvers import from_function
from functions_of_the_script import process

solver = from_function(process, processes=1)

class Solved(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        answer = solver(torch.zeros(2, 3, dtype=torch.float64))
        assert (answer == os.getpid()).all(), "a daemon does the work itself"
        return answer

def child():
    answer = set(solver(torch.zeros(2, 3, dtype=torch.float64)).flatten().tolist())
    assert not answer & ({os.getpid(), os.getppid()} | parents), "another pool of its own"
    print("the child is done", flush=True)

parents = set()
if __name__ == "__main__":
    if sys.argv[1] == "used":
        parents = set(solver(torch.zeros(8, 3, dtype=torch.float64)).flatten().tolist())
    loader = DataLoader(Solved(), batch_size=2, num_workers=1, multiprocessing_context="fork")
    assert [batch.shape for batch in loader] == [(2, 2, 3)]
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert solver(torch.zeros(2, 3, dtype=torch.float64)).shape == (2, 3)
"""

ENDLESS = """
import signal
import torch
from combgrad.solvers import from_function
from functions_of_the_script import endless

if __name__ == "__main__":
    # A script that was started in the background is born deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from_function(endless, processes=1)(torch.rand(1, 3))
"""

FUNCTIONS = """
import os, time
import numpy as np

def process(costs):
    return np.full(costs.shape, float(os.getpid()))

def endless(costs):
    print(os.getpid(), flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def script(tmp_path):
    """A function that starts a script, which may import FUNCTIONS."""
    (tmp_path / "functions_of_the_script.py").write_text(FUNCTIONS)
    started = []

    def start(text, *words, **environment):
        file = tmp_path / "script.py"
        file.write_text(text)
        process = subprocess.Popen(
            [sys.executable, str(file), *words],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Busy(Solver):
    """Marks how many threads are in it at once."""

    def __init__(self):
        self.turn, self.inside, self.most = Turn(), 0, 0

    def _solve(self, costs):
        with self.turn:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.001)
            self.inside -= 1
        return costs.clone()


def together(work, threads=4):
    """What `work` answers in several threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        return [call.result() for call in [pool.submit(work) for _ in range(threads)]]


def test_a_turn_lets_one_thread_in_and_a_copy_has_its_own():
    solver = Busy()
    together(lambda: [solver(torch.ones(1, 1)) for _ in range(10)])
    assert solver.most == 1
    with solver.turn:
        assert copy.deepcopy(solver)(torch.ones(1, 1)) == 1
        assert pickle.loads(pickle.dumps(Turn())).__enter__() is None


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: ILP(A=[[1, 1, 1], [1, 2, 0]], upper=2), id="highs"),
        pytest.param(
            lambda: ILP(A=[[1, 1, 1], [1, 2, 0]], upper=2, backend="gurobi"),
            id="gurobi",
            marks=pytest.mark.gurobi,
        ),
        pytest.param(GurobiTSP, id="gurobi-tsp", marks=pytest.mark.gurobi),
    ],
)
def test_threads_may_share_a_solver_whose_backend_takes_one(build):
    costs = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    try:
        solver = build()
        expected = solver(costs)
    except SolverUnavailableError as error:
        pytest.skip(str(error))
    answers = together(lambda: [solver(costs) for _ in range(10)])
    assert all(torch.equal(answer, expected) for several in answers for answer in several)


def finish(process):
    out, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return out


@forking
@pytest.mark.parametrize("threads", ["used", "unused"])
def test_a_forked_pool_solves_whatever_threads_its_parent_had(script, threads):
    finish(script(FORKED_POOL, threads))


@pytest.mark.parametrize("layer", ["workqueue", "default"])
def test_several_threads_may_solve_at_once(script, layer):
    finish(script(THREADS, NUMBA_THREADING_LAYER=layer))


def test_threads_of_a_solver_leave_torch_its_own(script):
    finish(script(COUNTS))


@forking
@pytest.mark.parametrize("pool", ["used", "unused"])
def test_a_pool_of_workers_is_not_inherited(script, pool):
    assert "the child is done" in finish(script(WORKERS, pool))


def alive(pid):
    """Whether a process runs; one that ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_workers_end_with_the_process_that_started_them(script, name):
    process = script(ENDLESS)
    worker = int(process.stdout.readline())
    process.send_signal(getattr(signal, name))
    process.communicate(timeout=100)
    assert process.returncode != 0
    until = time.monotonic() + 60
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(worker)
