"""Stopping a run by a signal, so that it can be resumed and its exit code says what happened."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from combgrad.guards.lightning import pl

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal; its last finished epoch lies in its checkpoints."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Stopped(number)


def _behind(error: BaseException) -> Stopped | None:
    """The `Stopped` that an error was raised from, directly or by way of others."""
    cause = error.__cause__
    return cause if cause is None or isinstance(cause, Stopped) else _behind(cause)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` where SIGINT or SIGTERM comes.

    Also where SIGINT is ignored, as it is in what a script or `nohup` has put into the background.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread answer signals.
        return
    # A launcher of jobs, such as submitit, may have an answer of its own, which is left in place.
    usual = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)
    former = {n: signal.getsignal(n) for n in SIGNALS if signal.getsignal(n) in usual}
    for number in former:
        signal.signal(number, _stop)
    try:
        yield
    except SystemExit as end:
        # Lightning's answer to a KeyboardInterrupt, or to a signal that a launcher answers.
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        if isinstance(end, pl.utilities.exceptions.SIGTERMException):
            raise Stopped(signal.SIGTERM) from None
        raise
    except SystemError as error:
        # What becomes of a signal that comes while Python enters or leaves compiled code.
        if (stopped := _behind(error)) is not None:
            raise stopped from None
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class AnswersSignals(pl.Callback):
    """Keeps the answer of `stoppable` while Lightning runs, which puts its own before it.

    Lightning's makes the processes of a run talk to each other in the midst of whatever they do,
    and they can then wait for each other for ever.
    """

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Answer signals again."""
        self._answer()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Answer signals again."""
        self._answer()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Answer signals again."""
        self._answer()

    def _answer(self) -> None:
        for number in SIGNALS:
            if _stop in getattr(signal.getsignal(number), "signal_handlers", ()):
                signal.signal(number, _stop)
