"""A signal ends a run as `Stopped`, wherever in the run it comes."""

import os
import signal

import pytest

from combgrad.runs.stopping import SIGNALS, Stopped, stoppable


def left_by(error: BaseException, cause: BaseException | None) -> None:
    with stoppable():
        raise error from cause


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_stopped_with_the_exit_code_of_a_shell(number):
    former = signal.getsignal(number)
    with pytest.raises(Stopped) as found, stoppable():
        os.kill(os.getpid(), number)
    assert found.value.exit_code == 128 + number
    assert signal.getsignal(number) is former


def test_a_signal_that_compiled_code_wrapped_is_told_as_the_signal():
    stopped, wrapped = Stopped(signal.SIGINT), SystemError("unpickling, with an exception set")
    wrapped.__cause__ = stopped
    with pytest.raises(Stopped) as found:
        left_by(SystemError("a kernel, with an exception set"), wrapped)
    assert found.value is stopped


def test_an_error_of_the_system_by_itself_stays_one():
    for cause in (None, ValueError("another")):
        with pytest.raises(SystemError, match="of its own"):
            left_by(SystemError("of its own"), cause)
