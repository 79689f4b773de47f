"""How a command ends: the exit codes, and the one exception that carries code, text, hint and exit code to `main`."""

import os
from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
UNREACHABLE: Final = 5
TIMED_OUT: Final = 6
BLOCKED: Final = 7
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

EXIT_CODES: Final = {
    OK: ("ok", "it was done"),
    FAILED: ("failed", "it was not done, or not all of it"),
    USAGE: ("usage", "the command line, the input or a value in it is wrong: change it"),
    NOT_FOUND: ("not found", "there is no such thing, or not yet"),
    CONFLICT: ("conflict", "it exists already, in this or another form; an idempotency key was used before"),
    UNREACHABLE: ("unreachable", "no ffd answers on the socket, or it went away: what was sent last is unknown"),
    TIMED_OUT: ("timed out", "the deadline passed first: the outcome is unknown, not negative"),
    BLOCKED: ("blocked", "the message was rejected, or the node is not ready"),
    INTERRUPTED: ("interrupted", "Ctrl-C or SIGTERM ended it; what was done until then stands"),
    PIPE_CLOSED: ("pipe closed", "the reader of its output went away"),
}
"""Exit code -> its name, and what it means."""


class Failure(Exception):
    """Why a command stops: printed by `main` as `ffctl: CODE: text`, the hint on a line of its own."""

    def __init__(self, exit_code: int, code: str, text: str, hint: str = "") -> None:
        super().__init__(exit_code, code, text)
        self.exit_code = exit_code
        self.code = code
        self.text = text
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.code else self.text


def usage(text: str, hint: str = "") -> Failure:
    """The command line or its input is wrong."""
    return Failure(USAGE, "FFD6001", text, hint)


def bad_input(text: str, hint: str = "") -> Failure:
    """What was given to send cannot be sent."""
    return Failure(USAGE, "FFD6007", text, hint)


def read_some(fd: int, bytes_max: int, name: str) -> bytes:
    """Bytes of the input called `name`, none at its end; `Failure` when it cannot be read, as a folder."""
    try:
        return os.read(fd, bytes_max)
    except OSError as error:
        raise bad_input(f"{name} cannot be read: {error.strerror}") from None
