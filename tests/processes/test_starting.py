"""Starts: after a kill at any moment, with much to do, beside another daemon, on files that are not as they should be.

`--log-cli-level=info` shows what was measured.
"""

from __future__ import annotations

import grp
import logging
import os
import shutil
import signal
import socket
import time
from pathlib import Path
from random import Random

from tests.processes.node import House, Node, Program, query, until

log = logging.getLogger(__name__)

KILLS = 20
UNSENT = 10_000
ROLES = {
    "sequencer:default:broadcast", "sequencer:default:private", "aggregator:default", "intake:local", "exchange:local",
    "indexer",
}  # fmt: skip


def test_a_node_that_is_killed_at_twenty_moments_of_its_start_still_starts(node: Node, seed: int) -> None:
    random = Random(seed)
    moments = [number / KILLS * random.uniform(0.8, 1.2) for number in range(KILLS)]
    for moment in random.sample(moments, KILLS):
        program = node.launch()
        try:
            program.wait(moment)
        except AssertionError:
            program.kill()
        assert program.code == -signal.SIGKILL, program.errors()
    daemon = node.start()
    node.broadcast("t", "still here")
    node.stop(daemon)
    assert node.rows("PRAGMA integrity_check") == [("ok",)]
    assert [path.name for path in node.state.rglob(".*")] == []


def time_to_ready(node: Node, *arguments: str) -> tuple[Program, float]:
    began = time.monotonic()
    program = node.start(*arguments)
    return program, time.monotonic() - began


def test_many_unsent_messages_do_not_delay_a_start(node: Node, house: House) -> None:
    accepting = node.start("--roles", "intake")
    node.run("broadcast", "--lines", stdin="".join(f"{number}\n" for number in range(UNSENT)))
    assert node.facts()["backlog"]["unsent"] == UNSENT
    accepting.kill()
    full = empty = 60.0
    bare = Node(house, "bare")
    for _ in range(2):
        daemon, took = time_to_ready(bare)
        daemon.kill()
        empty = min(empty, took)
        daemon, took = time_to_ready(node, "--roles", "intake")
        daemon.kill()
        full = min(full, took)
    log.info("ready in %.3f s when empty, in %.3f s with %d unsent", empty, full, UNSENT)
    assert full < empty + 1.0
    daemon, took = time_to_ready(node)
    assert took < 2.0 + empty, "all roles begin at once with what is unsent"
    node.wait_settled()
    node.stop(daemon)
    counted = node.rows("SELECT count(*), count(DISTINCT reference) FROM events WHERE type = 'message_confirmed'")
    assert counted == [(UNSENT, UNSENT)]


def test_a_second_daemon_on_the_socket_is_refused_and_disturbs_nothing(node: Node, house: House) -> None:
    daemon = node.start()
    stranger = Node(house, "stranger")
    for second in (node, stranger):
        done = second.launch("--socket", str(node.socket)).wait()
        assert done.code == 1
        assert done.err == (
            f"ffd: FFD1103: another ffd already listens on {node.socket}: stop it, or give --socket PATH\n"
        )
    node.broadcast("t", "undisturbed")
    assert {role["state"] for role in node.facts()["roles"]} == {"leading"}
    node.stop(daemon)


def test_a_socket_that_a_killed_daemon_left_is_replaced(node: Node) -> None:
    node.start().kill()
    assert node.socket.is_socket()
    assert node.ffctl("status").code == 5
    daemon = node.start()
    node.broadcast("t", "again")
    node.stop(daemon)
    assert not node.socket.exists()


def test_a_file_in_the_place_of_the_socket_is_left_alone(node: Node) -> None:
    node.socket.write_text("precious")
    done = node.launch().wait()
    assert done.code == 1
    assert (
        done.err == f"ffd: FFD1102: {node.socket} exists and is not a socket: remove it or choose another socket path\n"
    )
    assert node.socket.read_text() == "precious"


def test_another_programs_socket_is_left_alone(node: Node) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(node.socket))
        other.listen()
        done = node.launch().wait()
        assert done.code == 1 and "FFD1103" in done.err
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(str(node.socket))


def leading(node: Node) -> set[str]:
    """The roles that the process behind this socket leads."""
    return {role["name"] for role in node.facts()["roles"] if role["state"] == "leading"}


def test_two_daemons_on_one_database_share_its_roles_and_take_over(node: Node, house: House) -> None:
    first = node.start()
    assert leading(node) == ROLES
    other = Node(house, "other", state=node.state)
    second = other.start()
    assert leading(other) == set()
    lines = "".join(f"{number}\n" for number in range(500))
    node.run("broadcast", "--lines", "-t", "n", "--idempotency-key", "first", stdin=lines)
    other.run("broadcast", "--lines", "-t", "n", "--idempotency-key", "second", "--confirm", stdin=lines)
    tail = other.begin("tail", "--from", "oldest", "--count", "1500", "--format", "{value}")

    first.kill()
    killed = time.monotonic()
    until("the other one leads every role", lambda: leading(other) == ROLES)
    took_over = time.monotonic() - killed
    other.run("broadcast", "--lines", "-t", "n", "--idempotency-key", "third", "--confirm", stdin=lines)
    log.info("took over in %.3f s", took_over)
    assert took_over < 10

    assert tail.wait().code == 0
    heard = tail.lines()
    assert sorted(map(int, heard)) == sorted(list(range(500)) * 3)
    assert [int(value) for value in heard[1000:]] == list(range(500))
    other.wait_settled()
    other.stop(second)
    sequences = [sequence for (sequence,) in node.rows("SELECT sequence FROM events ORDER BY sequence")]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_database_from_the_future_is_refused_and_kept(node: Node) -> None:
    node.stop(node.start())
    query(node.database, "PRAGMA user_version = 999")
    before = node.database.read_bytes()
    done = node.launch().wait()
    assert done.code == 1
    assert done.err.startswith(f"ffd: FFD3011: {node.database} has schema 999, this ffd knows ")
    assert "run the newer ffd that wrote it" in done.err
    assert node.database.read_bytes() == before
    assert not node.socket.exists()


def test_a_file_that_is_no_database_is_refused_and_kept(node: Node) -> None:
    node.state.mkdir()
    for content in (b"precious words, no database\n" * 100, b"hello\n", b"SQLite format 3\0" + b"\xff" * 5000):
        node.database.write_bytes(content)
        done = node.launch().wait()
        assert done.code == 1
        assert done.err.startswith("ffd: FFD30") and str(node.database) in done.err, done.err
        assert done.err.count("\n") == 1
        assert node.database.read_bytes() == content


def test_a_database_of_another_program_is_refused_and_kept(node: Node) -> None:
    node.state.mkdir()
    query(node.database, "CREATE TABLE theirs (x)")
    before = node.database.read_bytes()
    done = node.launch().wait()
    assert done.code == 1
    assert done.err == (
        f"ffd: FFD3010: {node.database} is a database of another program: choose another state directory\n"
    )
    assert node.database.read_bytes() == before


def test_a_ledger_that_is_none_is_refused_and_kept(node: Node) -> None:
    node.state.mkdir()
    ledger = node.state / "ledger.db"
    query(ledger, "CREATE TABLE theirs (x)")
    before = ledger.read_bytes()
    done = node.launch().wait()
    assert done.code == 1
    assert done.err == f"ffd: FFD4016: {ledger} is no ledger of ffd: choose another path for the ledger\n"
    assert ledger.read_bytes() == before


def test_a_key_that_is_no_key_is_refused_and_kept(node: Node) -> None:
    node.stop(node.start())
    key = node.state / "keys" / "org.pem"
    key.write_text("no key")
    done = node.launch().wait()
    assert done.code == 1 and done.err.startswith(f"ffd: FFD1302: key file {key} holds no Ed25519 private key")
    assert key.read_text() == "no key"


def test_a_key_that_is_new_where_another_was_known_is_told(node: Node) -> None:
    node.stop(node.start())
    (node.state / "keys" / "org.pem").unlink()
    daemon = node.start()
    assert daemon.logged("has a new key in namespace default") and daemon.logged("restore it")
    node.stop(daemon)
    daemon = node.start()
    assert not daemon.logged("has a new key")
    node.stop(daemon)


def test_a_ledger_that_was_lost_is_told_in_a_line_and_shown(node: Node) -> None:
    daemon = node.start()
    node.broadcast("t", "kept")
    node.stop(daemon)
    for file in node.state.glob("ledger.db*"):
        file.unlink()
    daemon = node.launch()
    until("the role says so", lambda: daemon.logged("role intake:local failed and is begun again: FFD4020: ledger"))
    assert not daemon.logged("Traceback")
    until("it is shown", lambda: "intake:local" in node.ffctl().out)
    status, answer = node.get("/readyz")
    assert status == 503 and "role intake:local: FFD4020: ledger" in answer["reasons"][0]
    node.stop(daemon)


def test_a_file_in_the_place_of_the_state_is_told_with_what_to_do(node: Node) -> None:
    node.state.write_text("no folder")
    done = node.launch().wait()
    assert done.code == 1 and done.err.endswith("move the file away that is in its place, or choose another\n")
    assert node.state.read_text() == "no folder"


def test_a_group_that_the_user_is_not_in_is_refused_and_leaves_no_socket(node: Node) -> None:
    mine = {*os.getgroups(), os.getegid()}
    other = next(group.gr_name for group in grp.getgrall() if group.gr_gid not in mine)
    node.config.write_text(f'[socket]\ngroup = "{other}"\n')
    bare = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = node.launch(before=bare).wait()
    told = f"ffd: FFD1106: this user may not give {node.socket} to the group {other}: add it to that group"
    assert done.code == 1 and done.err.startswith(told)
    assert not node.socket.exists()


def test_what_holds_up_the_way_out_is_to_be_seen(node: Node) -> None:
    storage = node.state / "storage"
    daemon = node.start()
    shutil.rmtree(storage)
    storage.write_text("in the way")
    assert node.ffctl("broadcast", "-t", "t", "held up").code == 0
    until("ffctl says why", lambda: "tries again   FFD4106: " in node.ffctl().out)
    storage.unlink()
    storage.mkdir()
    until("it goes on", lambda: node.confirmed("t") == ["held up"])
    assert "tries again" not in node.ffctl().out
    node.stop(daemon)


def test_a_node_starts_while_its_shared_storage_is_away(node: Node) -> None:
    node.state.mkdir(mode=0o700)
    storage = node.state / "storage"
    storage.write_text("in the way")
    daemon = node.start()
    assert daemon.logged(f"{storage} cannot be used (File exists): what needs it waits until it is there")
    assert node.ffctl("broadcast", "-t", "t", "held up").code == 0
    until("ffctl says why", lambda: "tries again   FFD4106: " in node.ffctl().out)
    storage.unlink()
    until("it goes on", lambda: node.confirmed("t") == ["held up"])
    node.stop(daemon)


def test_a_daemon_takes_all_the_descriptors_that_it_may_have(node: Node) -> None:
    """It is configured for more connections than a shell grants files."""
    daemon = node.start(before=["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh"])
    limits = Path(f"/proc/{daemon.pid}/limits").read_text().splitlines()
    (soft, hard), *_ = [line.split()[3:5] for line in limits if line.startswith("Max open files")]
    assert soft == hard != "64"
    node.stop(daemon)


def test_a_daemon_without_standard_streams_works(node: Node) -> None:
    daemon = node.start(before=["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    node.broadcast("t", "heard")
    assert node.confirmed("t") == ["heard"]
    node.stop(daemon)


def test_a_typo_in_the_configuration_is_named_by_file_line_and_key(node: Node) -> None:
    node.config.write_text('[node]\nname = "north"\n\n[batch]\nmesages_max = 3\n')
    for arguments in (("--check-config",), ()):
        done = node.launch(*arguments).wait()
        assert done.code == 2
        told = f"ffd: FFD1001: {node.config}:5: batch.mesages_max: unknown key; did you mean messages_max?\n"
        assert done.err == told
    assert not node.state.exists() and not node.socket.exists()
