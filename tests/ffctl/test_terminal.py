"""What a person sees: colour, headers and progress on a terminal only, and never a control character of a payload."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest

from ffctl.output import SHORT_TIME, short_time
from tests.ffctl.conftest import COMMAND, Ffctl, environment
from tests.ffctl.standin import Node
from tests.ffctl.test_plain import is_quiet

NASTY = "a\x1b[2J\x1b]0;title\x07b\u202e\u200b\x7f\x9b31m\r\nc\x00"


def on_terminal(node: Node, *words: str, stdin: bytes = b"", columns: int = 80, **env: str) -> str:
    """What appears when stdout and stderr are a terminal."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = environment(node.path, TERM="xterm", **env)
    del variables["COLUMNS"]
    with subprocess.Popen(
        [*COMMAND, *words], stdin=subprocess.PIPE, stdout=there, stderr=there, env=variables
    ) as process:  # fmt: skip
        os.close(there)
        assert process.stdin
        process.stdin.write(stdin)
        process.stdin.close()
        seen = b""
        while block := read(here):
            seen += block
    os.close(here)
    return seen.decode().replace("\r\n", "\n")


def read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:
        return b""  # the other side is closed


@pytest.fixture
def nasty(node: Node) -> Node:
    node.broadcast({"header": {"topics": ["t"], "tag": NASTY}, "data": [{"value": NASTY}, {"value": {NASTY: NASTY}}]})
    return node


WAYS = {
    "table": [], "json": ["-o", "json"], "ndjson": ["-o", "ndjson"], "yaml": ["-o", "yaml"], "id": ["-o", "id"],
    "format": ["--format", "{value} {tag} {values}"],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("words", [["tail", "--from", "oldest", "--count", "1"], ["msg", "list", "--data"]])
def test_no_payload_reaches_the_terminal_raw(words: list[str], way: list[str], nasty: Node) -> None:
    seen = on_terminal(nasty, *words, *way, NO_COLOR="1")
    assert seen and is_quiet(seen)


def test_one_object_is_shown_safely_too(nasty: Node) -> None:
    id = nasty.rows["messages"][0]["header"]["id"]
    seen = on_terminal(nasty, "msg", "show", id, NO_COLOR="1")
    assert is_quiet(seen) and "header.tag" in seen


def test_json_in_a_pipe_is_escaped_alike(nasty: Node, ffctl: Ffctl) -> None:
    assert is_quiet(ffctl("msg", "list", "--data", "-o", "ndjson").out)
    assert is_quiet(ffctl("msg", "list", "--data").out.replace("\t", " "))


def test_a_terminal_gets_a_header_and_is_not_overrun(node: Node, ffctl: Ffctl) -> None:
    for text in ("x" * 300, "漢字" * 100, "short"):
        node.broadcast({"header": {"topics": ["t"]}, "data": [{"value": text}]})
    seen = on_terminal(node, "msg", "list", "--data", columns=120, NO_COLOR="1").splitlines()
    assert seen[0].startswith("CREATED") and len(seen) == 4 and all(len(line) <= 120 for line in seen)
    assert seen[1].endswith("…")
    assert len(ffctl("msg", "list", "--data").lines) == 3 and "x" * 300 in ffctl("msg", "list", "--data").out


def test_the_value_of_a_message_is_to_be_seen_on_80_columns(node: Node, ffctl: Ffctl) -> None:
    node.broadcast({"header": {"topics": ["t"], "tag": "new"}, "data": [{"value": "twenty characters it has"[:20]}]})
    for words in (("tail", "--from", "oldest", "--count", "1"), ("msg", "list", "--data")):
        title, row = on_terminal(node, *words, columns=80, NO_COLOR="1").splitlines()
        assert "VALUE" in title and "03-01T12:00Z  " in row and len(row) <= 80
        assert "twenty characters it" in row
    wide = on_terminal(node, "tail", "--from", "oldest", "--count", "1", columns=160, NO_COLOR="1")
    assert "2026-03-01T12:00:00.001Z" in wide
    assert "2026-03-01T12:00:00.001Z" in ffctl("tail", "--from", "oldest", "--count", "1").out


def test_a_time_is_as_short_as_its_day_allows() -> None:
    times = {
        "2026-11-23T11:35:59.604123456Z": "11:35:59.604Z", "2026-11-23T11:35:59.6Z": "11:35:59.600Z",
        "2026-11-23T11:35:59Z": "11:35:59.000Z", "2026-11-22T11:35:59.604Z": "11-22T11:35Z",
        "2025-11-23T11:35:59.604Z": "2025-11-23", "": "",
    }  # fmt: skip
    assert {time: short_time(time, "2026-11-23") for time in times} == times
    assert max(map(len, times.values())) == SHORT_TIME


def test_colour_is_for_terminals_that_want_it(node: Node, ffctl: Ffctl) -> None:
    node.broadcast({"data": [{"value": 1}]})
    assert "\x1b[1m" in on_terminal(node, "msg", "list")
    assert "\x1b" not in on_terminal(node, "msg", "list", NO_COLOR="1")
    assert "\x1b" not in on_terminal(node, "msg", "list", "--color", "never")
    assert "\x1b" not in ffctl("msg", "list").out
    assert "\x1b[31m" in on_terminal(node, "sub", "show", "x")
    assert "\x1b" not in ffctl("sub", "show", "x").err


def test_progress_is_drawn_on_a_terminal_only(node: Node, ffctl: Ffctl) -> None:
    lines = b"x\n" * 2000
    seen = on_terminal(node, "broadcast", "--lines", stdin=lines)
    assert "\r" in seen and seen.rstrip().endswith("/s)")
    path = node.path.parent / "lines"
    path.write_bytes(lines)
    shown = on_terminal(node, "broadcast", "--lines", f"@{path}").split("\r")
    assert shown[1].startswith("[                    ]   0% 0 accepted")  # read ahead is not done
    assert "\r" not in ffctl("broadcast", "--lines", f"@{path}").err
    assert "\r" not in on_terminal(node, "broadcast", "--lines", f"@{path}", "-q")


def test_quiet_leaves_only_errors(node: Node, ffctl: Ffctl) -> None:
    assert ffctl("broadcast", "--lines", "-q", stdin="a\n").err == ""
    assert ffctl("sub", "show", "x", "-q").err.startswith("ffctl: ")
