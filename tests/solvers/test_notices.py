"""Whoever waits is told why: for every compiled path, and for a call that takes long."""

import io
import os
import threading
import time

import numpy as np
import pytest
import torch
from numba import njit
from numba.core import event

from combgrad.solvers import Solver, notices
from combgrad.solvers.kernels import compiling


class Waiting(Solver):
    """Answers when the notices contain enough lines, or after ten seconds all the same."""

    def __init__(self, stderr, lines, doing=None):
        self.stderr, self.lines, self.doing = stderr, lines, doing

    def _solve(self, costs):
        if self.doing is not None:
            self.doing()
        deadline = time.monotonic() + 10.0
        while self.stderr.getvalue().count("\n") < self.lines and time.monotonic() < deadline:
            time.sleep(0.002)
        return costs


class Slow(Waiting):
    pass


@pytest.fixture
def stderr(monkeypatch):
    monkeypatch.setattr(notices, "COMPILING_SECONDS", 0.0)
    monkeypatch.setattr(notices, "SOLVING_SECONDS", 1e9)
    monkeypatch.setattr(notices, "LOOK_EVERY_SECONDS", 0.001)
    monkeypatch.setattr(notices, "_watch", notices._Watch())
    stream = io.StringIO()
    monkeypatch.setattr(notices, "_say", lambda text: stream.write(text + "\n"))
    return stream


def broadcast(status):
    assert compiling  # which listens
    event.broadcast(event.Event("numba:compile", status))


def test_every_compilation_is_told_and_not_only_the_first_of_a_solver(stderr):
    def compile_something():
        broadcast(event.EventStatus.START)

    for times in (1, 2):
        Waiting(stderr, times, compile_something)(torch.zeros(1, 1))
        broadcast(event.EventStatus.END)
        assert stderr.getvalue().count("compiling Waiting; later calls") == times
    Waiting(stderr, 0)(torch.zeros(1, 1))
    assert stderr.getvalue().count("\n") == 2


def test_numba_says_when_it_compiles_a_path_and_when_it_does_not():
    seen = []

    @njit
    def double(x):
        return x + x

    class Listener(event.Listener):
        def on_start(self, event):
            seen.append(notices.compilation.depth)

        def on_end(self, event):
            pass

    with event.install_listener("numba:compile", Listener()):
        double(1.0)
        double(2.0)
        double(np.float32(1.0))
    assert len(seen) == 2
    assert all(depth >= 1 for depth in seen)
    assert notices.compilation.depth == 0


def test_a_call_that_takes_long_is_told_once_for_each_solver(stderr, monkeypatch):
    monkeypatch.setattr(notices, "SOLVING_SECONDS", 0.0)
    Waiting(stderr, 1)(torch.zeros(1, 1))
    Slow(stderr, 2)(torch.zeros(1, 1))
    Slow(stderr, 2)(torch.zeros(1, 1))
    said = stderr.getvalue().splitlines()
    assert [line.split()[3] for line in said] == ["Waiting", "Slow"]
    assert all(line.startswith("one call of ") for line in said)


def test_words_go_to_stderr(capsys):
    notices._say("a word")
    assert capsys.readouterr() == ("", "combgrad: a word\n")


def test_nothing_stays_behind_a_call(stderr, monkeypatch):
    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        Waiting(stderr, 0, fail)(torch.zeros(1, 1))
    assert notices._watch.calls == {}
    for thread in threading.enumerate():
        if thread.name == "combgrad-notices":  # it ends when it next looks and sees no call
            thread.join(timeout=60)
            assert not thread.is_alive()
    assert not notices._watch.looking


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_can_solve_even_where_its_parent_held_the_lock():
    with notices._watch.lock:
        child = os.fork()
        if child == 0:
            Waiting(io.StringIO(), 0)(torch.zeros(1, 1))
            os._exit(0)
    deadline = time.monotonic() + 30.0
    done, status = os.waitpid(child, os.WNOHANG)
    while done == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
        done, status = os.waitpid(child, os.WNOHANG)
    if done == 0:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done == child
    assert os.waitstatus_to_exitcode(status) == 0
