"""A word to the user where a solver keeps them waiting: it compiles, or one call takes long.

That something compiles is known from numba itself, so it is said of every compiled path: large
instances, several threads or another dtype may need other code than the first call did.
"""

import os
import sys
import threading
import time

#: Seconds after which a user wonders.
COMPILING_SECONDS = 4.0
SOLVING_SECONDS = 10.0

LOOK_EVERY_SECONDS = 0.5


class Compilation:
    """Since when numba compiles, and until when it did; its own lock keeps the events in order."""

    def __init__(self) -> None:
        self.depth = 0
        self.since = self.until = 0.0

    def begin(self) -> None:
        """numba begins to compile, a function or one that it calls."""
        if self.depth == 0:
            self.since = time.monotonic()
        self.depth += 1

    def end(self) -> None:
        """It ends what it began last, of which an interruption may have left no word."""
        self.depth = max(0, self.depth - 1)
        self.until = time.monotonic()


class _Watch:
    """The calls that solvers are at, by thread, and a thread that looks at them while there are."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: dict[int, NoticeWhenLong] = {}
        self.looking = False
        self.compilation_told = 0.0
        self.solvers_told: set[str] = set()

    def look(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_SECONDS)
            calls = list(self.calls.values())
            if calls:
                self._tell(calls, time.monotonic())
            elif self._may_end():
                return

    def start_looking(self) -> None:
        with self.lock:
            if self.looking:
                return
            self.looking = True
        threading.Thread(target=self.look, name="combgrad-notices", daemon=True).start()

    def _may_end(self) -> bool:
        # In this order: a call that begins in between sees that nobody looks, or is seen here.
        self.looking = False
        with self.lock:
            if not self.calls or self.looking:
                return True
            self.looking = True
            return False

    def _tell(self, calls: "list[NoticeWhenLong]", now: float) -> None:
        if compilation.depth > 0:
            since = compilation.since
            if now - since >= COMPILING_SECONDS and since != self.compilation_told:
                self.compilation_told = since
                names = ", ".join(sorted({call.solver for call in calls}))
                from combgrad.solvers.kernels.keeping import place  # loads numba, which is here now

                if place() is None:
                    _say(f"compiling {names}; later calls skip this")
                else:
                    _say(
                        f"compiling {names}; later calls and later processes skip this, and "
                        f"`combgrad warmup` compiles all beforehand"
                    )
            return
        for call in calls:
            waited = now - max(call.started, compilation.until)
            if waited >= SOLVING_SECONDS and call.solver not in self.solvers_told:
                self.solvers_told.add(call.solver)
                _say(f"one call of {call.solver} takes more than {SOLVING_SECONDS:.0f} s")


class NoticeWhenLong:
    """Within this context a word appears on stderr when compiling or solving takes long.

    Said once for each compilation, and once for each solver that takes long in a process.
    """

    def __init__(self, solver: str) -> None:
        self.solver, self.started = solver, 0.0

    def __enter__(self) -> None:
        self.started = time.monotonic()
        thread = threading.get_ident()
        # A solver that calls another is the outer one, and has its place back afterwards.
        self.outer = _watch.calls.get(thread)
        _watch.calls[thread] = self
        if not _watch.looking:
            _watch.start_looking()

    def __exit__(self, *reason: object) -> None:
        thread = threading.get_ident()
        if self.outer is None:
            _watch.calls.pop(thread, None)
        else:
            _watch.calls[thread] = self.outer


def _say(text: str) -> None:
    sys.stderr.write(f"combgrad: {text}\n")
    sys.stderr.flush()


def _start_anew() -> None:
    """A forked child has none of its parent's threads, and perhaps a lock that one of them held."""
    global _watch
    _watch = _Watch()
    compilation.depth = 0


compilation = Compilation()
_watch = _Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
