"""Stops and signals of the daemon, what a service manager hears and gives, and Ctrl-C in the commands."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tests.processes.node import House, Node, Program, until

STOP_S = 10.0  # timeouts.stop_s, unless configured
CUT = 3
INTERRUPTED = 130


def endless(path: Path) -> Path:
    """More lines than anybody sends in a test."""
    path.write_text("".join(f"s:{number}\n" for number in range(1, 300_000)))
    return path


def accepted(sender: Program) -> set[str]:
    return {json.loads(line)["id"] for line in sender.lines() if json.loads(line)["state"] == "accepted"}


def begin_load(node: Node, tmp_path: Path) -> Program:
    """A sender that is in the middle of many lines, and somebody who listens."""
    node.begin("tail", "-o", "id")
    sender = node.begin("broadcast", "--lines", "-t", "n", "-o", "ndjson", stdin=endless(tmp_path / "lines"))
    until("the stream is under way", lambda: sender.count() > 1000)
    return sender


def test_a_stop_under_load_drains_within_its_deadline(node: Node, tmp_path: Path) -> None:
    daemon = node.start()
    sender = begin_load(node, tmp_path)
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    assert daemon.wait().code == 0, daemon.errors()
    assert time.monotonic() - began < STOP_S
    assert not node.socket.exists()
    cut = sender.wait()
    assert cut.code == 5 and "accepted" in cut.err, cut.err

    daemon = node.start()
    node.wait_settled()
    node.stop(daemon)
    states = dict(
        node.rows("SELECT lower(hex(m.id)), s.state FROM messages m, message_states s WHERE s.message = m.sequence")
    )
    assert {states[id.replace("-", "")] for id in accepted(sender)} == {"confirmed"}


@pytest.fixture
def waiting(node: Node) -> Iterator[Callable[[], int | None]]:
    """Somebody whose request a stop has to wait for: a confirmation that never comes, since nobody sequences."""
    body = b'{"data":[{"value":"x"}]}'
    head = "POST /api/v1/messages/broadcast?confirm=true HTTP/1.1\r\nHost: ffd\r\nConnection: close\r\n"
    head += f"Request-Timeout: 60s\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answers: list[int | None] = []

    def ask() -> None:
        try:
            answers.append(node.ask(head.encode() + body).status)
        except OSError:
            answers.append(0)

    thread = threading.Thread(target=ask)

    def begin() -> int | None:
        if not thread.ident:
            thread.start()
        return answers[0] if answers else None

    yield begin
    if thread.ident:
        thread.join(60)


def test_a_second_sigterm_stops_now(node: Node, waiting: Callable[[], int | None]) -> None:
    daemon = node.start("--roles", "intake")
    waiting()
    until("the message is accepted", lambda: node.sequences()["messages"] == 1)
    daemon.signal(signal.SIGTERM)
    until("it drains", lambda: daemon.logged("stopping within 10 s"))
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    assert daemon.wait().code == CUT, daemon.errors()
    assert time.monotonic() - began < STOP_S / 2
    assert daemon.logged("SIGTERM again: stopping now")

    daemon = node.start()
    node.wait_settled()
    node.stop(daemon)


def test_a_drain_that_lasts_too_long_is_cut_at_the_deadline(node: Node, waiting: Callable[[], int | None]) -> None:
    node.config.write_text('[timeouts]\nstop_s = "1s"\n')
    daemon = node.start("--roles", "intake")
    waiting()
    until("the message is accepted", lambda: node.sequences()["messages"] == 1)
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    assert daemon.wait().code in (0, CUT), daemon.errors()
    assert time.monotonic() - began < STOP_S / 2
    until("whoever waited is told", lambda: waiting() is not None)


def test_who_waits_for_a_confirmation_is_still_told_while_the_daemon_drains(
    house: House, node: Node, waiting: Callable[[], int | None]
) -> None:
    daemon = node.start("--roles", "intake")
    waiting()
    until("the message is accepted", lambda: node.sequences()["messages"] == 1)
    daemon.signal(signal.SIGTERM)
    until("it drains", lambda: daemon.logged("stopping within 10 s"))
    began = time.monotonic()
    other = Node(house, "other", state=node.state)
    helper = other.start()
    assert daemon.wait().code == 0, daemon.errors()
    assert time.monotonic() - began < STOP_S / 2
    assert until("the answer is here", waiting) == 200
    other.stop(helper)


def test_a_reload_takes_the_log_level_and_refuses_a_mistake(node: Node) -> None:
    node.config.write_text('[log]\nlevel = "info"\n')
    daemon = node.start()
    node.config.write_text('[log]\nlevel = "lots"\n')
    daemon.signal(signal.SIGHUP)
    until("the mistake is told", lambda: daemon.logged(f"not reloaded: {node.config}:2: log.level: 'lots' is not"))
    node.config.write_text('[log]\nlevel = "error"\n')
    daemon.signal(signal.SIGHUP)
    node.broadcast("t", "still here")
    said = node.stop(daemon).err
    assert "ready:" in said, "what was said at first"
    assert "SIGTERM" not in said, "what is no error is not said any more"


LARGER = '[limits]\nmessage_bytes_max = "4Mb"\n[batch]\nbytes_max = "4Mb"\n'


def test_a_reload_accepts_nothing_that_the_batches_of_this_life_cannot_carry(node: Node) -> None:
    daemon = node.start()
    node.config.write_text(LARGER)
    daemon.signal(signal.SIGHUP)
    until("it is taken over", lambda: daemon.logged("reloaded"))
    body = json.dumps({"data": [{"value": "x" * 2_000_000}]}).encode()
    refused = node.post("/api/v1/messages/broadcast", body)
    assert refused.status == 400 and b"FF10327" in refused.body, refused
    node.stop(daemon)

    daemon = node.start()
    assert node.post("/api/v1/messages/broadcast?confirm=true", body).status == 200
    node.stop(daemon)


def test_what_was_pinned_is_confirmed_by_a_life_with_smaller_limits(node: Node) -> None:
    node.config.write_text(LARGER)
    daemon = node.start("--roles", "sequencer")
    body = json.dumps({"data": [{"value": "x" * 2_000_000}]}).encode()
    assert node.post("/api/v1/messages/broadcast", body).status == 202
    until("it is pinned", lambda: node.facts()["backlog"]["unsent"] == 0)
    node.stop(daemon)

    node.config.write_text("")
    daemon = node.start()
    node.wait_settled()
    node.stop(daemon)


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._end.bind(str(path))
        self._heard: list[str] = []

    def heard(self) -> list[str]:
        """Every line so far."""
        while True:
            try:
                self._heard += self._end.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._heard

    def close(self) -> None:
        self._end.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    end = Manager(tmp_path / "notify")
    yield end
    end.close()


def test_a_service_manager_hears_how_it_goes(node: Node, manager: Manager, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
    daemon = node.launch(env=environ)
    until("it is ready", lambda: "READY=1" in manager.heard())
    assert node.is_ready(), "what is ready answers"
    assert any(line.startswith("STATUS=ffd ") for line in manager.heard())
    until("there are signs of life", lambda: manager.heard().count("WATCHDOG=1") >= 3)
    daemon.signal(signal.SIGHUP)
    until("it reloads", lambda: "RELOADING=1" in manager.heard())
    until("it is ready again", lambda: manager.heard().count("READY=1") == 2)
    assert "STOPPING=1" not in manager.heard()
    node.stop(daemon)
    assert "STOPPING=1" in manager.heard()
    assert f"EXTEND_TIMEOUT_USEC={int(STOP_S + 1) * 1_000_000}" in manager.heard()


def test_a_daemon_that_hangs_gives_no_sign_of_life(node: Node, manager: Manager, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"}
    daemon = node.start(env=environ)
    until("there are signs of life", lambda: "WATCHDOG=1" in manager.heard())
    lock = _write_lock(node)
    try:
        manager.heard().clear()
        begun = time.monotonic()
        while time.monotonic() < begun + 1.0:  # ten times what the manager grants
            assert manager.heard().count("WATCHDOG=1") <= 1
            time.sleep(0.05)
    finally:
        lock.close()
    until("there are signs of life again", lambda: "WATCHDOG=1" in manager.heard())
    node.stop(daemon)


def _write_lock(node: Node) -> apsw.Connection:
    """Hold the database's write lock, as a process that was stopped in a transaction would."""
    connection = apsw.Connection(str(node.database))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    return connection


SHIM = """
import os, sys
given = int(sys.argv[1])
os.dup2(given, 3, inheritable=True)
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What a service manager does between fork and exec."""


def activate(node: Node, listening: socket.socket) -> Program:
    """Start the daemon with a socket that others opened."""
    shim = [sys.executable, "-c", SHIM, str(listening.fileno())]
    return node.start(before=shim, pass_fds=[listening.fileno()])


def test_a_socket_of_the_service_manager_is_served_and_outlives_the_daemon(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(node.socket))
        listening.listen()
        daemon = activate(node, listening)
        node.broadcast("t", "before")
        node.stop(daemon)
        assert node.socket.is_socket(), "it is the manager's"

        early = node.begin("broadcast", "-t", "t", "meanwhile", "--confirm")
        daemon = activate(node, listening)
        assert early.wait().code == 0, early.errors()
        daemon.kill()
        daemon = activate(node, listening)
        assert node.confirmed("t") == ["before", "meanwhile"]
        node.stop(daemon)


def test_ctrl_c_in_a_broadcast_says_what_was_accepted(node: Node, tmp_path: Path) -> None:
    daemon = node.start()
    sender = begin_load(node, tmp_path)
    sender.signal(signal.SIGINT)
    done = sender.wait()
    assert done.code == INTERRUPTED
    count = len(accepted(sender))
    assert done.err.startswith(f"interrupted: {count:,} accepted in "), done.err
    assert "Traceback" not in done.err
    node.wait_settled()
    assert node.sequences()["messages"] == count
    node.stop(daemon)


def test_ctrl_c_in_a_tail_says_what_was_heard(node: Node) -> None:
    daemon = node.start()
    node.run("broadcast", "--lines", "--confirm", stdin="a\nb\nc\n")
    tail = node.begin("tail", "--from", "oldest", "--format", "{value}")
    until("all is heard", lambda: tail.count() == 3)
    tail.signal(signal.SIGINT)
    done = tail.wait()
    assert done.code == INTERRUPTED and done.lines == ["a", "b", "c"]
    assert done.err.startswith("3 events in ") and "Traceback" not in done.err
    node.stop(daemon)


def test_ctrl_c_before_anything_came_is_quiet_too(node: Node) -> None:
    daemon = node.start()
    tail = node.begin("tail", "worker", "--create", "--from", "oldest")
    until("it listens", lambda: any(each["active"] for each in node.facts()["subscriptions"]))
    tail.signal(signal.SIGINT)
    done = tail.wait()
    assert done.code == INTERRUPTED and done.out == "" and done.err.startswith("0 events in ")
    node.stop(daemon)


def test_ctrl_c_stops_a_daemon_in_the_foreground(node: Node) -> None:
    daemon = node.start()
    daemon.signal(signal.SIGINT)
    assert daemon.wait().code == 0
    assert not node.socket.exists()
