"""Odd input, as a user or a broken program gives it: each gets a clear refusal with its code, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffctl.failure import Failure
from tests.processes.node import PATIENCE_S, Answer, House, Node, Program, until

HUGE = 100_000_000
MANY = "".join(f'"t{number}",' for number in range(11)).rstrip(",")
BROADCAST = "/api/v1/messages/broadcast"


KEPT = ("sequences", "backlog", "blocked", "subscriptions", "ledger", "pid")


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Program]]:
    """A node with a message and a subscription; it stands all of these mistakes, one after the other."""
    house = House(tmp_path_factory.mktemp("odd"))
    try:
        node = Node(house)
        daemon = node.start()
        node.broadcast("t", "first")
        node.run("sub", "create", "worker", "--all", "--from", "oldest")
        yield node, daemon
        node.broadcast("t", "still works")
        node.stop(daemon)
    finally:
        house.close()


@pytest.fixture
def running(working: tuple[Node, Program]) -> Iterator[Node]:
    """The node, which must be as it was at the end."""
    node, daemon = working
    before = status(node)
    yield node
    assert daemon.code is None, daemon.errors()
    node.wait_settled()
    assert status(node) == before
    assert "Traceback" not in daemon.errors() and '"level":"error"' not in daemon.errors(), daemon.errors()


def status(node: Node) -> dict[str, object]:
    """What would tell of a change."""
    until("nobody listens", lambda: not any(each["active"] for each in node.facts()["subscriptions"]))
    return {what: node.facts()[what] for what in KEPT}


def words(*given: str, stdin: str | bytes = b"") -> tuple[tuple[str, ...], str | bytes]:
    return given, stdin


COMMANDS: dict[str, tuple[int, str, tuple[tuple[str, ...], str | bytes]]] = {
    "an empty message": (2, "FFD6007: the message is empty", words("broadcast", "")),
    "an empty message on stdin": (2, "FFD6007: the message is empty", words("broadcast", "-")),
    "a message of 100 MB": (2, "FFD6008: the message is too large", words("broadcast", "-", stdin="x" * HUGE)),
    "a line of 100 MB": (2, "FFD6008: line 1 is too long", words("broadcast", "--lines", stdin="x" * HUGE)),
    "a message over the limit": (2, "FFD6008: the message is too large", words("broadcast", "-", stdin="x" * 820_000)),
    "invalid JSON": (2, "FFD6007: ", words("broadcast", "--json", '{"a":}')),
    "JSON with a raw NUL": (2, "FFD6007: ", words("broadcast", "--json", "-", stdin=b'"a\x00b"')),
    "JSON with a raw control character": (2, "FFD6007: ", words("broadcast", "--json", "-", stdin=b'"a\x1bb"')),
    "bytes that are no text": (2, "not UTF-8: byte 0xff at 2", words("broadcast", "-", stdin=b"ab\xff")),
    "a topic of 65 characters": (2, "FF00140: ", words("broadcast", "-t", "a" * 65, "x")),
    "an empty topic": (2, "FF00140: ", words("broadcast", "-t", "", "x")),
    "a topic with a control character": (2, "FF00140: ", words("broadcast", "-t", "a\x1b[2Jb", "x")),
    "a topic with a line break": (2, "FF00140: ", words("broadcast", "-t", "a\nb", "x")),
    "eleven topics": (2, "FF00134: ", words("broadcast", *(w for n in range(11) for w in ("-t", f"t{n}")), "x")),
    "a topic twice": (2, "FF00133: ", words("broadcast", "-t", "a", "-t", "a", "x")),
    "a line with a bad topic": (
        1, "FF00140: ", words("broadcast", "--ndjson", stdin='{"topic":"a b","value":1}\n'),
    ),
    "an unknown subscription": (3, "FFD6006: there is no subscription 'nobody'", words("tail", "nobody")),
    "an unknown subscription to delete": (3, "FFD6006: ", words("sub", "delete", "nobody")),
    "a subscription that exists": (4, "FF10193: ", words("sub", "create", "worker")),
    "a bad expression to listen with": (2, "FF10171: ", words("tail", "--filter", "topic=(")),
    "a bad expression to keep": (2, "FF10171: ", words("sub", "create", "s", "--filter", "topic=a{2,1}")),
    "an expression that RE2 has not": (2, "FF10171: ", words("sub", "create", "s", "--filter", "topic=(?=a)")),
    "a filter on nothing there is": (2, "FFD6001: ", words("tail", "--filter", "colour=red")),
    "an unknown message": (3, "FF10", words("msg", "show", "00000000-0000-4000-8000-000000000001")),
    "an unknown namespace": (3, "FF10436: ", words("--namespace", "nope", "broadcast", "x")),
}  # fmt: skip


def test_a_mistake_in_a_command_is_named_and_changes_nothing(running: Node) -> None:
    wrong = {}
    for case, (code, text, (given, stdin)) in COMMANDS.items():
        done = running.ffctl(*given, stdin=stdin)
        told = done.err.splitlines()
        clear = bool(told) and all(line.startswith(("ffctl: ", "hint: ")) for line in told) and text in told[0]
        if done.code != code or not clear or done.out or any(c < " " for line in told for c in line):
            wrong[case] = done
    assert wrong == {}


REQUESTS: dict[str, tuple[int, str, str]] = {
    "nothing": (400, "FF", ""),
    "no JSON": (400, "FF", "{"),
    "another thing": (400, "FF", "[]"),
    "data without a value": (400, "FF10205: ", '{"data":[{}]}'),
    "a raw NUL in a value": (400, "FF", '{"data":[{"value":"\x00"}]}'),
    "a raw control character": (400, "FF", '{"data":[{"value":"\x1b"}]}'),
    "a NUL in a topic": (400, "FF00140: ", '{"header":{"topics":["a\\u0000b"]},"data":[{"value":"x"}]}'),
    "a topic of 65 characters": (400, "FF00140: ", '{"header":{"topics":["%s"]},"data":[{"value":"x"}]}' % ("a" * 65)),
    "eleven topics": (400, "FF00134: ", f'{{"header":{{"topics":[{MANY}]}},"data":[{{"value":"x"}}]}}'),
    "a topic twice": (400, "FF00133: ", '{"header":{"topics":["a","a"]},"data":[{"value":"x"}]}'),
    "a bad tag": (400, "FF00140: ", '{"header":{"tag":"a b"},"data":[{"value":"x"}]}'),
    "depth": (400, "FF", f'{{"data":[{{"value":{"[" * 100_000}{"]" * 100_000}}}]}}'),
    "a number that is none": (400, "FF", '{"data":[{"value":NaN}]}'),
    "a name twice": (400, "FF", '{"data":[{"value":"x"}],"header":{"tag":1}}'),
    "data nobody has": (400, "FF10204: ", '{"data":[{"id":"00000000-0000-4000-8000-000000000001"}]}'),
    "a message over the limit": (400, "FF10327: ", '{"data":[{"value":"%s"}]}' % ("x" * 820_000)),
}


def test_a_mistake_in_a_request_is_named_and_changes_nothing(running: Node) -> None:
    wrong = {}
    for case, (status, text, body) in REQUESTS.items():
        answer = running.post(BROADCAST, body.encode())
        error = json.loads(answer.body).get("error", "") if answer.body else ""
        if answer.status != status or not error.startswith(text) or error.startswith("FF00000"):
            wrong[case] = answer
    assert wrong == {}


def test_a_body_of_100_mb_is_refused_before_it_is_read(running: Node) -> None:
    head = f"POST {BROADCAST} HTTP/1.1\r\nHost: ffd\r\nContent-Type: application/json\r\n"
    answer = running.ask(f"{head}Content-Length: {HUGE}\r\n\r\n".encode())
    assert answer.status == 413 and b"FFD" in answer.body
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = running.ask(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 100)
    assert answer.status == 413 and b"FFD" in answer.body


def test_bytes_that_are_no_request_are_refused(running: Node) -> None:
    for raw in (
        b"\x00\x01\x02\x03\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ):
        assert running.ask(raw).status == 400, raw


START = {"type": "start", "namespace": "default", "ephemeral": True}
FRAMES: dict[str, tuple[str, object]] = {
    "no JSON": ("FF10176: ", "{"),
    "an unknown type": ("FF10176: ", {"type": "shout"}),
    "an ack before a start": ("FF10175: ", {"type": "ack"}),
    "a start without a name": ("FF10178: ", {"type": "start"}),
    "a start with a bad expression": ("FF10171: ", START | {"filter": {"events": "("}}),
    "a send of nothing": ("FF", {"type": "send", "id": "1"}),
    "a send to an unknown namespace": ("FF10187: ", {"type": "send", "id": "1", "namespace": "nope", "messages": [{}]}),
}


def test_a_mistake_in_a_frame_is_named_and_changes_nothing(running: Node) -> None:
    wrong = {}
    for case, (text, frame) in FRAMES.items():
        with running.websocket() as app:
            app.send(frame)
            said = app.receive()
        if text not in said.get("error", ""):
            wrong[case] = said
    assert wrong == {}


def test_an_ack_for_an_event_that_was_never_sent_moves_nothing(running: Node) -> None:
    never = "00000000-0000-4000-8000-000000000001"
    for frame in ({"id": never}, {"id": "nonsense"}, {"id": never, "subscription": {"name": "other"}}):
        with running.websocket() as app:
            app.send({"type": "start", "namespace": "default", "name": "worker", "autoack": False})
            event = app.receive()
            assert event["type"] == "event_batch"
            app.send({"type": "ack", **frame})
            said = app.receive()
            assert said["type"] == "protocol_error" and said["error"].startswith("FF"), said
    heard = running.run("tail", "worker", "--no-ack", "--count", "1", "--format", "{sequence}")
    assert heard == "1\n", "nothing was acknowledged"


def test_a_frame_of_100_mb_ends_its_connection_alone(running: Node) -> None:
    with running.websocket() as other:
        with running.websocket() as app:
            app.send(json.dumps({"type": "send", "id": "1", "messages": [], "x": "x" * HUGE}))
            with pytest.raises(Failure, match="1009"):
                app.receive()
        other.send("{")
        assert "FF10176" in other.receive()["error"]


def test_control_characters_in_a_value_are_data_and_stay_away_from_the_terminal(node: Node) -> None:
    daemon = node.start()
    text = "a\x00b\x1b[2Jc\x7f\u202ed\te"
    node.run("broadcast", "-t", "t", "-", stdin=text)
    node.wait_settled()
    assert node.confirmed("t") == [text]
    shown = node.run("tail", "--from", "oldest", "--count", "1")
    assert not {c for c in shown if c < " " or "\x7f" <= c < "\xa0" or c == "\u202e"} - {"\n", "\t"}
    node.stop(daemon)


SHAPES = ("json", "yaml", "table", "ndjson", "id")
ODD_VALUES: dict[str, tuple[str, tuple[str, ...]]] = {
    "half a surrogate pair": ('"\\ud800"', SHAPES),
    "great depth": ("[" * 1500 + "]" * 1500, ("json", "ndjson")),
}


@pytest.mark.parametrize(("value", "shapes"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_a_value_that_json_allows_and_few_can_read_stops_no_consumer(
    node: Node, value: str, shapes: tuple[str, ...]
) -> None:
    daemon = node.start()
    node.run("sub", "create", "worker", "--from", "oldest")
    answer = node.post(f"{BROADCAST}?confirm=true", f'{{"data":[{{"value":{value}}}]}}'.encode())
    assert answer.status == 200, answer
    node.broadcast("t", "behind it")
    heard = node.run("tail", "worker", "--count", "2", "-o", "ndjson").splitlines()
    assert f'"value":{value}' in heard[0] and '"value":"behind it"' in heard[1]
    for shape in shapes:
        assert node.run("tail", "--from", "oldest", "--count", "2", "-o", shape) != ""
    assert node.run("msg", "list", "--data", "-o", "ndjson") != ""
    for shape in ("table",) if len(shapes) < len(SHAPES) else ():
        done = node.ffctl("tail", "--from", "oldest", "--count", "2", "-o", shape)
        assert done.code == 1 and done.err.startswith("ffctl: FFD6012: "), done
    node.stop(daemon)


GREETINGS = {
    "an SSH server": b"SSH-2.0-OpenSSH_9.2\r\n",
    "silence": b"",
    "another HTTP server": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
def test_a_socket_that_is_not_ffd_is_called_so(node: Node, greeting: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(node.socket))
        door.listen()

        def greet() -> None:
            for _ in range(2):
                guest, _ = door.accept()
                with guest:
                    guest.recv(65536)
                    guest.sendall(greeting)

        host = threading.Thread(target=greet, daemon=True)
        host.start()
        for given in (("status",), ("tail",)):
            done = node.ffctl(*given)
            assert done.code == 5 and done.out == ""
            assert done.err.startswith(("ffctl: FFD6003: ", "ffctl: FFD6004: ")), done.err
        host.join(10)


# Disks ----------------------------------------------------------------------------------------------------------------


def test_a_disk_below_its_reserve_takes_nothing_new_and_says_so(node: Node) -> None:
    node.config.write_text('[limits]\ndisk_reserve_bytes = "1000000Gb"\n')
    daemon = node.start()
    answer = node.post(BROADCAST, b'{"data":[{"value":"x"}]}')
    assert answer.status == 507 and json.loads(answer.body)["error"].startswith("FFD3002: ")
    done = node.ffctl("broadcast", "x")
    assert done.code == 1 and "FFD3002" in done.err and "make room" in done.err
    done = node.ffctl("broadcast", "--lines", stdin="a\nb\n")
    assert done.code == 1 and "FFD3002" in done.err
    assert node.sequences()["messages"] == 0 and node.is_ready()
    assert daemon.logged("fewer than limits.disk_reserve_bytes")
    node.stop(daemon)


def own_mounts(script: str) -> list[str]:
    """A program that becomes the rest of the command line, with mounts that nobody else sees and that end with it."""
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "--propagation", "private", "sh", "-ec", f'{script}; exec "$@"', "sh"]


def mounts_are_allowed() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*own_mounts("mount -t tmpfs none /mnt"), "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(
    not mounts_are_allowed(), reason="this user may make no mounts, not even private ones"
)


def read_only(path: Path) -> list[str]:
    return own_mounts(f"mount --bind '{path}' '{path}'; mount -o remount,ro,bind '{path}'")


@needs_mounts
def test_a_state_folder_that_cannot_be_written_is_called_so(node: Node) -> None:
    node.state.mkdir()
    done = node.launch(before=read_only(node.state)).wait()
    assert done.code == 1 and done.err.count("\n") == 1, done.err
    assert done.err.startswith("ffd: FFD") and str(node.state) in done.err
    assert list(node.state.iterdir()) == [] and not node.socket.exists()


@needs_mounts
def test_a_database_that_cannot_be_written_is_called_so_and_kept(node: Node) -> None:
    daemon = node.start()
    node.broadcast("t", "kept")
    node.stop(daemon)
    before = {path: path.read_bytes() for path in node.state.rglob("*") if path.is_file()}
    done = node.launch(before=read_only(node.state)).wait()
    assert done.code == 1 and done.err.count("\n") == 1, done.err
    assert done.err.startswith("ffd: FFD") and str(node.state) in done.err
    assert {path: path.read_bytes() for path in node.state.rglob("*") if path.is_file()} == before
    daemon = node.start()
    assert node.confirmed("t") == ["kept"]
    node.stop(daemon)


@pytest.fixture
def watchdog(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of a watchdog."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(PATIENCE_S)
        yield end


@needs_mounts
def test_a_full_disk_does_not_end_a_daemon_under_a_watchdog(node: Node, watchdog: socket.socket) -> None:
    node.state.mkdir()
    node.config.write_text("[limits]\ndisk_reserve_bytes = 0\n")
    disk = own_mounts(f"mount -t tmpfs -o size=24m none '{node.state}'")
    environ = {"NOTIFY_SOCKET": str(watchdog.getsockname()), "WATCHDOG_USEC": "100000"}
    daemon = node.start(before=disk, env=environ)
    fill(Path(f"/proc/{daemon.pid}/root{node.state}") / "filler")
    until("the disk is full", lambda: post_large(node).status == 507)
    signs = 0
    while signs < 20:
        assert daemon.code is None, daemon.errors()
        signs += b"WATCHDOG=1" in watchdog.recv(4096)
    assert post_large(node).status == 507, "it lives, and a new start would make no room"
    node.stop(daemon)


@needs_mounts
def test_a_full_disk_refuses_with_507_and_goes_on_when_there_is_room(node: Node) -> None:
    node.state.mkdir()
    node.config.write_text("[limits]\ndisk_reserve_bytes = 0\n")
    daemon = node.start(before=own_mounts(f"mount -t tmpfs -o size=24m none '{node.state}'"))
    inside = Path(f"/proc/{daemon.pid}/root{node.state}")
    node.broadcast("t", "before")
    fill(inside / "filler")
    statuses = {post_large(node).status for _ in range(40)}
    assert 507 in statuses and statuses <= {202, 507}, statuses
    answer = post_large(node)
    assert answer.status == 507 and json.loads(answer.body)["error"].startswith("FFD3002: "), answer
    kept = node.sequences()["messages"]
    assert node.get("/livez")[0] == 200 and daemon.code is None, "it reads, and answers"
    assert node.run("tail", "--from", "oldest", "-t", "t", "--count", "1", "--format", "{value}") == "before\n"

    (inside / "filler").unlink()
    until("it takes messages again", lambda: node.post(BROADCAST, b'{"data":[{"value":"x"}]}').status == 202)
    node.wait_settled()
    assert node.sequences()["messages"] == kept + 1
    _, confirmed = node.get("/api/v1/messages?state=confirmed&limit=1000")
    assert len(confirmed) == kept + 1, "nothing accepted was lost, nothing refused was kept"
    node.stop(daemon)


def fill(path: Path) -> None:
    """Write until nothing more fits."""
    with open(path, "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            return


def post_large(node: Node) -> Answer:
    return node.post(BROADCAST, b'{"data":[{"value":"%s"}]}' % (b"x" * 100_000))
