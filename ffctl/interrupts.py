"""Ctrl-C for a streaming command: it ends between two of its steps, not inside one."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """While it is open, SIGINT and SIGTERM set `asked` and wake the poll; a second one raises KeyboardInterrupt.

    The poll is woken by the interpreter's C handler: one in Python runs between two steps of Python, which is too late
    for a signal that comes just before the poll begins to wait (signal.set_wakeup_fd).
    """

    def __init__(self) -> None:
        self.asked = False
        self._old: dict[int, Any] = {}
        self._read, self._write = -1, -1
        self._old_wakeup = -1

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old[number] = signal.signal(number, self._heard)
        self._old_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable once there was a signal."""
        return self._read

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
