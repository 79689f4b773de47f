"""`ffctl broadcast`: one message, and streams of them."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from ffctl.failure import Failure
from ffctl.interrupts import Interrupts
from ffctl.sending import Lines, Sender
from ffctl.settings import Settings
from ffctl.stream import Stream
from ffctl.talk import Talk
from tests.ffctl.conftest import COMMAND, Ffctl, environment
from tests.ffctl.standin import Node, uid


def heard(node: Node) -> list[object]:
    return [row["data"][0]["value"] for row in node.rows["messages"]]


def test_a_message_goes_out_as_it_was_given(node: Node, place_file: str, ffctl: Ffctl) -> None:
    assert ffctl("broadcast", "-t", "a", "-t", "b", "--tag", "x", "--cid", uid(5), "hello").code == 0
    assert ffctl("broadcast", "-", stdin="two\nlines\n").code == 0
    assert ffctl("broadcast", f"@{place_file}").code == 0
    assert ffctl("broadcast", "--json", '{"n":1}').code == 0
    assert ffctl("broadcast", "--json", '""').code == 0
    assert ffctl("broadcast", "nul \x01 and \x1b").code == 0
    assert heard(node) == ["hello", "two\nlines\n", "from a file", {"n": 1}, "", "nul \x01 and \x1b"]
    header = node.rows["messages"][0]["header"]
    assert header["topics"] == ["a", "b"] and header["tag"] == "x" and header["cid"] == uid(5)


@pytest.fixture
def place_file(node: Node) -> str:
    path = node.path.parent / "file"
    path.write_text("from a file")
    return str(path)


def test_each_line_is_a_message_in_order(node: Node, ffctl: Ffctl) -> None:
    done = ffctl("broadcast", "--lines", "-t", "n", stdin="".join(f"{number}\n" for number in range(5000)))
    assert done.code == 0 and done.out == "" and done.err.startswith("5,000 accepted in ")
    assert heard(node) == [str(number) for number in range(5000)]


LINES = {
    "no last newline": ("a\nb", ["a", "b"]),
    "blank lines are messages": ("a\n\nb\n", ["a", "", "b"]),
    "spaces stay": (" a \n\tb\r\n", [" a ", "\tb\r"]),
    "only newlines end lines": ("a\x0bb\u2028c\x85d\n", ["a\x0bb\u2028c\x85d"]),
    "nothing": ("", []),
    "one newline": ("\n", [""]),
}


@pytest.mark.parametrize(("stdin", "values"), LINES.values(), ids=LINES)
def test_what_a_line_is(stdin: str, values: list[str], node: Node, ffctl: Ffctl) -> None:
    assert ffctl("broadcast", "--lines", stdin=stdin).code == 0
    assert heard(node) == values


def test_ndjson_in_and_out(node: Node, ffctl: Ffctl) -> None:
    lines = '{"topic":"a","value":1.50}\n\n{"topics":["b","c"],"tag":"y","data":[{"value":"v"}]}\n{"value":[]}\n'
    done = ffctl("broadcast", "--ndjson", "-t", "d", "-o", "ndjson", stdin=lines)
    assert done.code == 0
    assert [row["header"]["topics"] for row in node.rows["messages"]] == [["a"], ["b", "c"], ["d"]]
    rows = [json.loads(line) for line in done.lines]
    assert [(row["line"], row["id"], row["state"]) for row in rows] == [
        (1, uid(1), "accepted"), (3, uid(2), "accepted"), (4, uid(3), "accepted")
    ]  # fmt: skip
    assert ffctl("broadcast", "--lines", "-o", "id", stdin="x\n").out == f"{uid(4)}\n"


def test_a_line_that_cannot_be_sent_stops_the_stream_there(node: Node, ffctl: Ffctl) -> None:
    done = ffctl("broadcast", "--ndjson", stdin='{"value":1}\n{"value":2}\n{"valu":3}\n{"value":4}\n')
    assert done.code == 2 and "line 3: " in done.err and "2 accepted" in done.err
    assert heard(node) == [1, 2]
    many = "".join(f'{{"value":{number}}}\n' for number in range(3, 5000))
    done = ffctl("broadcast", "--ndjson", stdin=many + "nope\n")
    assert done.code == 2 and "line 4998: " in done.err and "4,997 accepted" in done.err
    assert heard(node) == list(range(1, 5000))
    done = ffctl("broadcast", "--lines", stdin=b"a\nb\xff\nc\n")
    assert done.code == 2 and "line 2 is not UTF-8: byte 0xff" in done.err and heard(node)[-1] == "a"


def test_a_line_the_daemon_refuses_does_not_stop_the_others(node: Node, ffctl: Ffctl) -> None:
    node.refuse = frozenset(['"b"'])
    done = ffctl("broadcast", "--lines", "-o", "ndjson", stdin="a\nb\nc\n")
    assert done.code == 1 and "line 2: FF00140: " in done.err and "2 accepted" in done.err and "1 refused" in done.err
    assert heard(node) == ["a", "c"]
    assert [json.loads(line)["state"] for line in done.lines] == ["accepted", "refused", "accepted"]


def test_frames_that_are_refused_whole_name_the_first_of_their_lines(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("x\n" * 120)
    with Interrupts() as interrupts, lines.open() as opened:
        sender = Sender(
            Refusing(), Lines(opened.fileno()), lambda line, number: "{}", "default", None, Talk(Settings(quiet=True)),
            confirm=False, timeout_s=10,
        )  # fmt: skip
        with pytest.raises(Failure, match="FFD3002.*lines 1 to 50: the disk is full"):
            sender.run(interrupts)
    assert sender.tally.text() == "0 accepted, 100 refused"  # and 20 were not even sent


class Refusing(Stream):
    """A daemon that takes nothing, and says so late: all frames are on their way by then."""

    def __init__(self) -> None:
        self._sent: list[str] = []

    @property
    def full(self) -> bool:
        return False

    def send(self, frame: str) -> None:
        self._sent.append(json.loads(frame)["id"])

    def wait(self, timeout_s: float | None, *, also: int | None = None) -> tuple[list[str], bool]:
        said = [json.dumps({"type": "error", "id": id, "error": "FFD3002: the disk is full"}) for id in self._sent]
        self._sent.clear()
        return said, also is not None


def test_confirm_waits_for_every_line(node: Node, ffctl: Ffctl) -> None:
    node.reject = frozenset(['"3"'])
    done = ffctl("broadcast", "--lines", "--confirm", "-o", "ndjson", stdin="".join(f"{n}\n" for n in range(500)))
    assert done.code == 7 and "line 4 was rejected: FF10201" in done.err and "499 confirmed, 1 rejected" in done.err
    states = {row["line"]: row["state"] for row in map(json.loads, done.lines)}
    assert len(states) == 500 and states[4] == "rejected" and set(states.values()) == {"confirmed", "rejected"}


def test_a_broken_stream_can_be_sent_again(node: Node, ffctl: Ffctl) -> None:
    stdin = "".join(f"{number}\n" for number in range(3000))
    node.hang_up_after_frames = 20
    first = ffctl("broadcast", "--lines", "--idempotency-key", "import", stdin=stdin)
    assert first.code == 5 and "accepted" in first.err and "of unknown outcome (line" in first.err
    assert "idempotency key" in first.err
    node.hang_up_after_frames = None
    second = ffctl("broadcast", "--lines", "--idempotency-key", "import", stdin=stdin)
    assert second.code == 0 and "accepted before" in second.err
    assert heard(node) == [str(number) for number in range(3000)]
    assert node.keys["import:1"] == uid(1)


def test_a_daemon_that_says_goodbye_under_load_is_told_as_such(node: Node, ffctl: Ffctl) -> None:
    """Its last answer and its goodbye come together, while more lines wait to be sent."""
    node.goodbye_at_frame = 1
    done = ffctl("broadcast", "--lines", "-o", "id", stdin="".join(f"{number}\n" for number in range(3000)))
    assert done.code == 5 and "the daemon closed the connection (1001: ffd stops)" in done.err
    assert done.err.count("\n") < 4 and "accepted" in done.err, "said in words, not as a traceback"
    assert len(done.lines) >= 1


def test_a_slow_producer_is_sent_at_once(node: Node) -> None:
    with subprocess.Popen(
        [*COMMAND, "broadcast", "--lines", "-o", "id"], env=environment(node.path), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as sender:  # fmt: skip
        assert sender.stdin and sender.stdout
        for number in range(3):
            sender.stdin.write(f"{number}\n")
            sender.stdin.flush()
            assert sender.stdout.readline() == f"{uid(number + 1)}\n"
        sender.stdin.close()
        assert sender.wait(10) == 0


def test_ctrl_c_waits_for_what_is_in_flight_and_says_how_much_was_accepted(node: Node) -> None:
    with subprocess.Popen(
        [*COMMAND, "broadcast", "--lines", "-o", "id"], env=environment(node.path), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as sender:  # fmt: skip
        assert sender.stdin and sender.stdout and sender.stderr
        sender.stdin.write("a\nb\n")
        sender.stdin.flush()
        assert [sender.stdout.readline() for _ in range(2)] == [f"{uid(1)}\n", f"{uid(2)}\n"]
        sender.send_signal(signal.SIGINT)
        assert sender.wait(10) == 130
        assert sender.stderr.read().startswith("interrupted: 2 accepted in ")


def test_a_daemon_that_never_confirms_is_6(node: Node, ffctl: Ffctl) -> None:
    node.confirm = False
    done = ffctl("broadcast", "--lines", "--confirm", "--timeout", "1s", stdin="a\n")
    assert done.code == 6 and "1 accepted" in done.err and "1 unconfirmed" in done.err
