"""`ffctl tail`: what is printed, what is acknowledged, and how it ends."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.ffctl.conftest import COMMAND, Ffctl, environment
from tests.ffctl.standin import Node, uid
from tests.processes.node import until

MESSAGES = "^(?:message_confirmed|message_rejected)$"


def spoken(node: Node, count: int, topic: str = "t", **header: str) -> None:
    for number in range(count):
        node.broadcast({"header": {"topics": [topic], **header}, "data": [{"value": number}]})


def test_a_tail_begins_where_it_is_told(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 10)
    count = ("--idle", "300ms", "--format", "{value}")
    assert ffctl("tail", "--from", "oldest", *count).lines == [str(number) for number in range(10)]
    assert ffctl("tail", "--from", "6", *count).lines == ["7", "8", "9"]
    assert ffctl("tail", "-n", "2", *count).lines == ["8", "9"]
    assert ffctl("tail", "-n", "0", *count).lines == []
    assert ffctl("tail", "-n", "99", *count).lines == [str(number) for number in range(10)]
    assert ffctl("tail", *count).lines == []


def test_the_last_n_are_the_last_that_match(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 3, "a")
    spoken(node, 3, "b")
    done = ffctl("tail", "-n", "2", "--topic", "a", "--idle", "300ms", "--format", "{topic} {value}")
    assert done.lines == ["a 1", "a 2"]
    assert node.starts[0]["filter"] == {"topic": "^(?:a)$", "events": MESSAGES}
    assert node.starts[0]["options"]["firstEvent"] == "0"


def test_a_tail_is_of_messages_unless_all_or_other_events_are_asked_for(node: Node, ffctl: Ffctl) -> None:
    ffctl("tail", "--idle", "50ms")
    ffctl("tail", "--idle", "50ms", "--all")
    ffctl("tail", "--idle", "50ms", "--type", "transaction_submitted")
    ffctl("tail", "--idle", "50ms", "--filter", "events=identity")
    found = [start["filter"] for start in node.starts]
    assert found == [{"events": MESSAGES}, {}, {"events": "^(?:transaction_submitted)$"}, {"events": "identity"}]


def test_filters_are_anchored_and_escaped(node: Node, ffctl: Ffctl) -> None:
    words = ["--topic", "a.b", "--topic", "c", "--type", "message_confirmed", "--tag", "x|y", "--author", "did:a"]
    ffctl("tail", *words, "--filter", "message.group=^ab", "--idle", "100ms")
    assert node.starts[0]["filter"] == {
        "topic": r"^(?:a\.b|c)$", "events": "^(?:message_confirmed)$",
        "message": {"tag": r"^(?:x\|y)$", "author": "^(?:did:a)$", "group": "^ab"},
    }  # fmt: skip
    assert node.starts[0]["options"] == {"batch": True, "readAhead": 200, "withData": True, "firstEvent": "newest"}


def test_a_subscription_goes_on_where_its_last_reader_stopped(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 120)
    node.batch_events = 10
    words = ("tail", "worker", "--create", "--from", "oldest", "--format", "{value}")
    first = ffctl(*words, "--count", "30")
    node.until_nobody_reads()
    rest = ffctl("tail", "worker", "--idle", "300ms", "--format", "{value}")
    assert [int(line) for line in first.lines + rest.lines] == list(range(120))


def test_a_whole_batch_is_acknowledged_by_its_id_and_a_part_event_by_event(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 20)
    node.batch_events = 8
    ffctl("tail", "--from", "oldest", "--count", "11", "--format", "{value}")
    node.until_nobody_reads()
    assert node.acks == [uid(4 * 10**6 + 1), *(uid(2 * 10**6 + number) for number in (8, 9, 10))]


def test_no_ack_looks_and_moves_nothing(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 20)
    node.batch_events = 8
    node.subscribe({"name": "worker", "options": {"firstEvent": "oldest"}})
    for _ in range(2):
        done = ffctl("tail", "worker", "--no-ack", "--idle", "300ms", "--format", "{value}")
        assert done.lines == [str(number) for number in range(8)] and node.acks == []


def test_create_takes_the_one_that_exists(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 3)
    words = ("tail", "worker", "--create", "--from", "oldest", "--topic", "t", "--count", "1", "--format", "{value}")
    node.batch_events = 1
    assert ffctl(*words).out == "0\n"
    node.until_nobody_reads()
    assert ffctl(*words).out == "1\n"
    assert len(node.rows["subscriptions"]) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_with_a_summary(number: signal.Signals, node: Node) -> None:
    spoken(node, 5)
    with subprocess.Popen(
        [*COMMAND, "tail", "--from", "oldest", "--format", "{value}"], env=environment(node.path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as tail:  # fmt: skip
        assert tail.stdout and [tail.stdout.readline() for _ in range(5)] == [f"{number}\n" for number in range(5)]
        tail.send_signal(number)
        out, err = tail.communicate(timeout=10)
    assert tail.returncode == 130 and out == ""
    assert err.startswith("5 events in ") and err.endswith("sequence 0 to 4\n")
    node.until_nobody_reads()
    assert len(node.acks) == 1


def test_a_reader_that_goes_away_ends_it_quietly_and_nothing_more_is_acknowledged(node: Node) -> None:
    spoken(node, 3000)
    node.batch_events = 10
    with subprocess.Popen(
        [*COMMAND, "tail", "--from", "oldest", "-o", "ndjson"], env=environment(node.path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as tail:  # fmt: skip
        assert tail.stdout and tail.stderr
        assert json.loads(tail.stdout.readline())["sequence"] == 0
        tail.stdout.close()
        assert tail.wait(20) == 141
        assert tail.stderr.read() == ""
    node.until_nobody_reads()
    assert len(node.acks) < 300


def test_lists_end_quietly_too_when_their_reader_goes_away(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 5)
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} msg list -o ndjson | true; echo ${{PIPESTATUS[0]}}"],
        env=environment(node.path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() in ("0", "141") and done.stderr == ""


def test_a_daemon_that_goes_away_is_5_and_says_what_came(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 30)
    node.batch_events = 10
    node.hang_up_after_frames = 2
    done = ffctl("tail", "--from", "oldest", "--format", "{value}")
    assert done.code == 5 and "was lost" in done.err and "20 events" in done.err
    assert [int(line) for line in done.lines] == list(range(20))
    assert done.err.endswith("hint: run it again when ffd is back, with --from 19\n")


def test_a_durable_reader_is_told_that_it_can_go_on(node: Node, ffctl: Ffctl) -> None:
    spoken(node, 3)
    node.hang_up_after_frames = 1
    done = ffctl("tail", "worker", "--create", "--from", "oldest")
    assert done.code == 5 and "goes on where it stopped" in done.err and "idempotency" not in done.err


def test_ctrl_c_ends_a_tail_that_waits_for_a_daemon_that_hangs(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place / "ffd.sock"))
        door.listen()
        with subprocess.Popen(
            [*COMMAND, "tail", "--from", "oldest"], env=environment(place / "ffd.sock"), stderr=subprocess.PIPE
        ) as tail:
            guest, _ = door.accept()
            assert guest.recv(4)  # it shakes hands, and nobody answers
            tail.send_signal(signal.SIGINT)
            assert tail.wait(5) == 130
            guest.close()


def test_a_stalled_stdout_stalls_the_acks(node: Node) -> None:
    """What stdout has not taken is not acknowledged, so a reader behind it loses nothing when it dies."""
    node.batch_events = 100
    for number in range(2000):
        node.broadcast({"header": {"topics": ["t"]}, "data": [{"value": str(number) * 50}]})
    with subprocess.Popen(
        [*COMMAND, "tail", "--from", "oldest", "-o", "ndjson"], env=environment(node.path), stdout=subprocess.PIPE
    ) as tail:
        assert tail.stdout
        tail.stdout.readline()
        channel = Path(f"/proc/{tail.pid}/wchan")
        until("the pipe is full and its writer waits", lambda: channel.read_text().endswith("pipe_write"))
        assert len(node.acks) < 20
        tail.send_signal(signal.SIGINT)
        tail.send_signal(signal.SIGINT)
        os.kill(tail.pid, signal.SIGKILL)
