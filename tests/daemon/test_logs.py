"""What the daemon says on stderr."""

import io
import json
import logging
import sys

from ffd.daemon.config import LogConfig
from ffd.daemon.logs import set_level, start_logs

FORGED = 'tea\n{"level":"info"}\x1b[2J\x00\x9b\u202e'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def said(stream: io.StringIO, config: LogConfig | None = None, **environ: str) -> str:
    start_logs(config or LogConfig(), stream, environ)
    log = logging.getLogger("ffd.inbound")
    log.debug("not said")
    log.warning("blocked by %s", FORGED, extra={"topic": FORGED, "sequence": 7})
    return stream.getvalue()


def test_a_program_reads_one_line_of_json() -> None:
    line = said(io.StringIO())
    assert line.count("\n") == 1
    assert line.isascii()
    assert "\x1b" not in line
    fields = json.loads(line)
    assert list(fields) == ["time", "level", "logger", "message", "topic", "sequence"]
    assert fields["message"] == f"blocked by {FORGED}"
    assert (fields["level"], fields["logger"], fields["sequence"]) == ("warning", "ffd.inbound", 7)
    assert fields["time"].endswith("Z")


def test_a_person_reads_one_line_that_cannot_steer_the_terminal() -> None:
    line = said(Terminal())
    assert line.count("\n") == 1
    assert line[12:].startswith(" warning ffd.inbound: blocked by tea\\n{")
    assert r"\x1b[2J\x00\x9b\u202e" in line
    assert line.endswith(", sequence=7\n")


def test_the_format_can_be_chosen() -> None:
    assert said(Terminal(), LogConfig(format="json")).startswith("{")
    assert not said(io.StringIO(), LogConfig(format="text")).startswith("{")


def test_the_journal_gets_its_priorities() -> None:
    assert said(io.StringIO(), JOURNAL_STREAM="8:1").startswith('<4>{"time"')


def test_a_traceback_stays_in_its_record() -> None:
    program, person = io.StringIO(), Terminal()
    for stream in (program, person):
        start_logs(LogConfig(), stream, {})
        try:
            raise ValueError(FORGED)
        except ValueError:
            logging.getLogger("ffd").error("failed", exc_info=sys.exc_info())
    assert "ValueError: tea" in json.loads(program.getvalue())["exception"]
    assert all(line.startswith("    ") for line in person.getvalue().splitlines()[1:])


def test_libraries_speak_only_of_what_is_wrong() -> None:
    stream = io.StringIO()
    start_logs(LogConfig(level="debug"), stream, {})
    logging.getLogger("hypercorn.error").info("Running on unix socket")
    logging.getLogger("ffd").debug("heard")
    set_level("error")
    logging.getLogger("ffd").warning("not heard")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["heard"]
