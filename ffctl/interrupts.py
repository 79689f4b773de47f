"""Ctrl-C for a streaming command: it ends between two of its steps, not inside one."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupts:
    """While it is open, SIGINT and SIGTERM set `asked` and wake the poll; a second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.asked = False
        self._old: dict[int, Any] = {}
        self._read, self._write = -1, -1

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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
        os.write(self._write, b"!")
