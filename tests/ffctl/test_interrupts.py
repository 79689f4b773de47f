"""Ctrl-C is heard whenever it comes."""

import ctypes
import operator
import select
import signal
import struct
from functools import partial

import pytest

from ffctl.interrupts import Interrupts


def test_a_signal_wakes_a_poll_before_any_python_runs() -> None:
    """A poll that is about to wait runs no Python any more: a handler of Python's would come when it is over."""
    libc = ctypes.CDLL(None)
    with Interrupts() as interrupts:
        watched = ctypes.create_string_buffer(struct.pack("ihh", interrupts.fileno(), select.POLLIN, 0))
        signal_then_poll = [partial(getattr(libc, "raise"), signal.SIGINT), partial(libc.poll, watched, 1, 0)]
        # `map` calls the two one after the other in C, and the interpreter sees its signals after both.
        assert list(map(operator.call, signal_then_poll)) == [0, 1]
        assert interrupts.asked


def test_the_second_signal_ends_at_once_and_all_is_as_before_at_the_end() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked and select.select([interrupts], [], [], 0)[0]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1
