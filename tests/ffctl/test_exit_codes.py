"""How commands end when they do not end well: an exit code, one line that says what, and a hint."""

import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from ffctl import live
from ffctl.client import refusal
from ffctl.failure import EXIT_CODES
from ffd.model.event import EVENT_TYPES
from tests.ffctl.conftest import COMMAND, ROOT, Ffctl, environment
from tests.ffctl.standin import Node, uid


def test_the_documented_codes_are_these(ffctl: Ffctl) -> None:
    assert sorted(EXIT_CODES) == [0, 1, 2, 3, 4, 5, 6, 7, 130, 141]
    assert [int(code) for code in ffctl("help", "exit-codes", "-o", "id").lines] == sorted(EXIT_CODES)


USAGE = {
    "no such command": ["nonsense"],
    "a command without its noun": ["sub"],
    "no such option": ["tail", "--nonsense"],
    "no argument": ["msg", "show"],
    "an unknown shape": ["msg", "list", "-o", "xml"],
    "a number that is none": ["msg", "list", "-n", "many"],
    "a negative number": ["msg", "list", "-n", "-1"],
    "a time that is none": ["msg", "list", "--since", "soon"],
    "a duration that is none": ["tail", "--idle", "soon"],
    "a negative duration": ["tail", "--idle", "-3s"],
    "a place that is none": ["tail", "--from", "middle"],
    "a filter that is none": ["tail", "--filter", "topics=x"],
    "two filters for one key": ["tail", "--topic", "a", "--filter", "topic=b"],
    "filters for a subscription that has its own": ["tail", "worker", "--topic", "a"],
    "--create without a name": ["tail", "--create"],
    "-n with a subscription": ["tail", "worker", "-n", "3"],
    "-n and --from": ["tail", "-n", "3", "--from", "oldest"],
    "nothing to send": ["broadcast"],
    "an empty message": ["broadcast", ""],
    "an empty stdin": ["broadcast", "-"],
    "not JSON": ["broadcast", "--json", "{"],
    "a file that is not there": ["broadcast", "@nowhere"],
    "a text and --lines": ["broadcast", "--lines", "text"],
    "an empty namespace": ["--namespace", "", "status"],
    "an unknown shell": ["completion", "tcsh"],
    "an empty idempotency key": ["broadcast", "--idempotency-key", "", "x"],
    "a folder": ["broadcast", "@/"],
    "a folder of lines": ["broadcast", "--lines", "@/"],
    "an unknown type": ["tail", "--type", "message_confirmd"],
    "an unknown type of a subscription": ["sub", "create", "x", "--type", "nonsense"],
    "an unknown type of a list": ["event", "list", "--type", "nonsense"],
    "an unknown state": ["msg", "list", "--state", "confirmd"],
}  # fmt: skip


@pytest.mark.parametrize("words", USAGE.values(), ids=USAGE)
def test_a_mistake_on_the_command_line_is_2_and_asks_nothing(words: list[str], node: Node, ffctl: Ffctl) -> None:
    done = ffctl(*words)
    first, *hints = done.err.splitlines()
    assert done.code == 2 and first.startswith("ffctl: FFD600") and done.out == ""
    assert all(line.startswith("hint: ") for line in hints)
    assert node.rows["messages"] == [] and node.starts == []


IDS = {
    "a message": ["msg", "show", "../status"],
    "an event": ["event", "show", ""],
    "a batch": ["batch", "show", "\x1b[31m"],
    "answers": ["msg", "list", "--cid", "1"],
    "events of": ["event", "list", "--reference", "1"],
    "pins of": ["pin", "list", "--batch", "1"],
    "a context": ["pin", "list", "--hash", "12"],
}


@pytest.mark.parametrize("words", IDS.values(), ids=IDS)
def test_what_is_no_id_is_2_and_not_an_empty_answer(words: list[str], node: Node, ffctl: Ffctl) -> None:
    done = ffctl(*words)
    assert done.code == 2 and done.out == "" and done.err.startswith("ffctl: FF001") and "\x1b" not in done.err


def test_a_word_that_was_mistyped_is_recognised(node: Node, ffctl: Ffctl) -> None:
    assert "did you mean message_confirmed?" in ffctl("tail", "--type", "message_confirmd").err
    assert "there are staged, ready" in ffctl("msg", "list", "--state", "zzz").err


def test_every_type_of_event_is_known_here() -> None:
    assert set(live.EVENT_TYPES) == set(EVENT_TYPES)


def test_the_hint_names_the_message_that_it_is_about() -> None:
    failure = refusal(408, b'{"error":"FF10260: The request timed out: message \'%s\' is accepted"}' % uid(7).encode())
    assert failure.exit_code == 6 and f"`ffctl msg show {uid(7)}`" in failure.hint


def test_what_is_missing_or_too_much_is_said(ffctl: Ffctl) -> None:
    assert ffctl("sub").err.startswith("ffctl: FFD6001: Missing command: one of create, list, show, delete\n")
    assert ffctl("broadcast", "two", "words").err.startswith("ffctl: FFD6001: unexpected: words (a text with spaces")


def test_the_hint_names_the_command_that_was_meant(ffctl: Ffctl) -> None:
    assert "see `ffctl tail --help`" in ffctl("tail", "--from").err
    assert "see `ffctl sub create --help`" in ffctl("sub", "create", "--from").err


def in_shell(line: str, place: Path) -> "subprocess.CompletedProcess[str]":
    """A line of the shell in which `ffctl` is ours."""
    script = f'ffctl() {{ {" ".join(COMMAND)} "$@"; }}; {line}'
    return subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment(place / "ffd.sock"),
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", ["--help", "msg list", "broadcast x", "tail --from oldest --count 1"])
def test_a_stdout_that_takes_nothing_is_1_and_told_in_a_line(words: str, node: Node, place: Path) -> None:
    node.broadcast({"data": [{"value": 1}]})
    for where, said in ((">/dev/full", "No space left on device"), (">&-", "stdout is closed")):
        done = in_shell(f"ffctl {words} {where}", place)
        first, second = done.stderr.splitlines()
        assert done.returncode == 1 and first.startswith("ffctl: FFD6013: ") and said in first
        assert second.startswith("hint: ") and node.acks == []


def test_a_closed_stdin_is_2_and_a_closed_stderr_disturbs_nothing(node: Node, place: Path) -> None:
    for words in ("broadcast -", "broadcast --lines"):
        closed = in_shell(f"ffctl {words} <&-", place)
        assert closed.returncode == 2 and closed.stderr.startswith("ffctl: FFD6007: stdin is closed\n")
    silent = in_shell("echo a | ffctl broadcast --lines -o id 2>&-", place)
    assert (silent.returncode, silent.stdout.strip()) == (0, uid(1))


def test_what_is_not_there_is_3(node: Node, ffctl: Ffctl) -> None:
    for words in (["msg", "show", uid(1)], ["event", "show", uid(1)], ["sub", "show", "x"], ["sub", "delete", "x"]):
        done = ffctl(*words)
        assert done.code == 3, words
        assert done.err.startswith("ffctl: FF")
    done = ffctl("tail", "worker")
    assert done.code == 3 and "hint: see `ffctl sub list`, or make it: ffctl tail worker --create" in done.err


def test_what_exists_is_4(node: Node, ffctl: Ffctl) -> None:
    assert ffctl("sub", "create", "worker").code == 0
    assert ffctl("sub", "create", "worker").code == 4
    assert ffctl("broadcast", "x", "--idempotency-key", "k").code == 0
    done = ffctl("broadcast", "x", "--idempotency-key", "k")
    assert done.code == 4 and uid(1) in done.err and done.err.startswith("ffctl: FF10430: ")
    done = ffctl("tail", "worker", "--create", "--topic", "other", "--count", "1")
    assert done.code == 4 and "another filter" in done.err


def test_no_daemon_is_5_and_says_how_to_start_one(place: Path, ffctl: Ffctl) -> None:
    for words in (["status"], [], ["broadcast", "x"], ["tail"], ["broadcast", "--lines"]):
        done = ffctl(*words, stdin="a\n")
        assert done.code == 5 and done.out == ""
        assert done.err.startswith("ffctl: FFD6002: no ffd is running: there is no socket") and "`ffd`" in done.err


def test_a_socket_nobody_listens_on_is_5(place: Path, ffctl: Ffctl) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(place / "ffd.sock"))
    done = ffctl("status")
    assert done.code == 5 and "nobody listens" in done.err


def test_a_file_or_folder_in_its_place_is_5(place: Path, ffctl: Ffctl) -> None:
    (place / "ffd.sock").write_text("no socket")
    assert ffctl("status").code == 5
    assert "is not a socket" in ffctl("status").err
    assert ffctl("status", "--socket", str(place)).code == 5
    assert ffctl("status", "--socket", "/x" * 200).code == 5


def test_another_program_on_the_socket_is_5_and_named_so(node: Node, ffctl: Ffctl) -> None:
    node.header = None
    for words in (["status"], ["tail", "--from", "oldest"], ["broadcast", "x"]):
        done = ffctl(*words)
        assert done.code == 5 and "is not ffd" in done.err and "X-FFD" in done.err


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\x01\x02", b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_something_that_is_no_ffd_at_all_is_5(answer: bytes, place: Path, ffctl: Ffctl) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place / "ffd.sock"))
        door.listen()

        def greet() -> None:
            for _ in range(2):
                guest, _ = door.accept()
                guest.recv(4096)
                guest.sendall(answer)
                guest.close()

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        for words in (["status"], ["tail", "--from", "oldest"]):
            assert ffctl(*words).code == 5
        thread.join(5)


def test_a_socket_of_another_user_is_5(node: Node) -> None:
    node.path.chmod(0)
    # Root may open every socket, unless it gives that up.
    plain = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*plain, *COMMAND, "status"], env=environment(node.path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 5 and "may not be opened" in done.stderr


def test_a_daemon_that_does_not_get_ready_is_6(node: Node, ffctl: Ffctl) -> None:
    node.ready = False
    done = ffctl("wait", "ready", "--timeout", "300ms")
    assert done.code == 6 and "not ready after 0.3 s: " in done.err and "starting" in done.err and "{" not in done.err


def test_a_daemon_that_is_not_there_in_time_is_6(place: Path, ffctl: Ffctl) -> None:
    done = ffctl("wait", "ready", "--timeout", "0")
    assert done.code == 6 and "not ready after 0 s: no ffd is running" in done.err


def test_a_rejected_message_is_7(node: Node, ffctl: Ffctl) -> None:
    node.reject = frozenset(['"bad"'])
    done = ffctl("broadcast", "bad", "--confirm")
    assert done.code == 7 and "FF10269" in done.err


def test_a_message_that_is_too_large_is_refused_before_it_is_sent(node: Node, ffctl: Ffctl) -> None:
    node.limit_bytes = 800_000
    done = ffctl("broadcast", "-", stdin="x" * 1_000_000)
    assert done.code == 2 and "FFD6008" in done.err and "800,000" in done.err
    assert node.rows["messages"] == []
    done = ffctl("broadcast", "-", stdin="x" * (65 << 20))
    assert done.code == 2 and "FFD6008" in done.err


def test_bytes_that_are_no_text_are_refused(node: Node, ffctl: Ffctl) -> None:
    done = ffctl("broadcast", "-", stdin=b"ab\xff")
    assert done.code == 2 and "not UTF-8: byte 0xff at 2" in done.err


def test_an_error_cannot_disturb_the_terminal(node: Node, ffctl: Ffctl) -> None:
    done = ffctl("sub", "show", "\x1b[2J\u202e")
    assert done.code == 3 and "\x1b" not in done.err and "\u202e" not in done.err


def test_an_option_before_the_command_is_stronger_than_a_variable(node: Node, place: Path, ffctl: Ffctl) -> None:
    elsewhere = {"FFD_SOCKET": str(place / "nowhere"), "FFD_NAMESPACE": "nowhere"}
    assert ffctl("--socket", str(node.path), "--namespace", "default", "status", **elsewhere).code == 0
    assert ffctl("status", "--socket", str(node.path), "--namespace", "default", **elsewhere).code == 0
    assert ffctl("status", **elsewhere).code == 5
