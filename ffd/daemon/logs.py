"""What the daemon says on stderr: a line for a person on a terminal, a line of JSON for a program anywhere else.

Whatever a message carries, a record is one line and shows no control characters: what apps send must not be able to
forge a line or steer a terminal.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import TextIO

from ffd.daemon.config import LogConfig
from ffd.model.times import format_time

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
"""syslog's numbers, which journald takes from the start of a line."""


def start_logs(config: LogConfig, stream: TextIO, environ: Mapping[str, str]) -> None:
    """Send every record of the process to `stream`; a second call replaces the first."""
    as_text = config.format == "text" or (config.format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextLines() if as_text else JsonLines(journal="JOURNAL_STREAM" in environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(config.level)
    # A handler that fails (stderr is closed or full) must not print a traceback to that same stderr for each record.
    logging.raiseExceptions = False


def set_level(level: str) -> None:
    """Say less or more from now on; the libraries below us speak only of what is wrong."""
    logging.getLogger().setLevel(level.upper())
    for library in ("hypercorn", "trio-websocket"):
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))


class TextLines(logging.Formatter):
    """`12:00:00.123 warning ffd.inbound: blocked, topic=orders`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line for a person, and a traceback if there is one."""
        clock = format_time(int(record.created * 1000) * 1_000_000)[11:].rstrip("Z").ljust(12, "0")
        extras = "".join(f", {name}={_plain(str(value))}" for name, value in _extras(record).items())
        line = f"{clock} {record.levelname.lower():7} {record.name}: {_plain(record.getMessage())}{extras}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {_plain(each)}" for each in trace.splitlines())
        return line


class JsonLines(logging.Formatter):
    """`{"time":…,"level":"warning","logger":"ffd.inbound","message":"blocked","topic":"orders"}`."""

    def __init__(self, *, journal: bool = False) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """One line of ASCII JSON: everything else is escaped."""
        fields: dict[str, object] = {
            "time": format_time(int(record.created * 1_000_000) * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = json.dumps(fields, default=str, separators=(",", ":"))
        return f"<{_PRIORITIES.get(record.levelname, 6)}>{line}" if self._journal else line


def _extras(record: logging.LogRecord) -> dict[str, object]:
    """What the caller gave with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _plain(text: str) -> str:
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
