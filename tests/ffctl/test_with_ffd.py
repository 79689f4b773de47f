"""ffctl and the real ffd together: the main job as a user does it, and what comes of it when either is killed."""

import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.ffctl.conftest import COMMAND, ROOT, Done, Ffctl, environment
from tests.ffctl.test_terminal import NASTY

STOP_S = 20


@contextmanager
def running(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An ffd with its state in this folder, ready."""
    env = environment(place / "ffd.sock", XDG_STATE_HOME=str(place / "state"))
    process = subprocess.Popen(
        [sys.executable, "-m", "ffd"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    try:
        subprocess.run([*COMMAND, "wait", "ready"], env=env, check=True, capture_output=True, timeout=60)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)


@pytest.fixture
def ffd(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon on the socket of this test."""
    with running(place) as process:
        yield process


pytestmark = pytest.mark.usefixtures("ffd")


def values(lines: list[str]) -> list[int]:
    return [int(line) for line in lines]


def numbered(count: int) -> str:
    return "".join(f"{number}\n" for number in range(count))


def test_the_first_words_of_a_new_user(ffctl: Ffctl) -> None:
    assert ffctl("broadcast", "--topic", "t", "hello").code == 0
    event = json.loads(ffctl("tail", "--from", "oldest", "--count", "1", "-o", "json").out)
    assert event["type"] == "message_confirmed" and event["topic"] == "t"
    assert event["message"]["header"]["topics"] == ["t"] and event["message"]["data"][0]["value"] == "hello"
    assert "node" in ffctl().out


def test_lines_are_accepted_confirmed_and_heard_in_order(ffctl: Ffctl) -> None:
    done = ffctl("broadcast", "--lines", "-t", "n", "--confirm", "-o", "ndjson", stdin=numbered(2000))
    assert done.code == 0 and done.err.startswith("2,000 accepted") and done.err.endswith("2,000 confirmed\n")
    assert {json.loads(line)["state"] for line in done.lines} == {"confirmed"}
    heard = ffctl("tail", "--from", "oldest", "--count", "2000", "-t", "n", "--format", "{value}")
    assert values(heard.lines) == list(range(2000))
    assert values(ffctl("tail", "-n", "3", "--idle", "500ms", "--format", "{value}").lines) == [1997, 1998, 1999]
    ids = ffctl("msg", "list", "-n", "0", "-o", "id").lines
    assert len(ids) == len(set(ids)) == 2000 and ffctl("msg", "list", "-n", "1100", "-o", "id").lines == ids[900:]
    sequences = values(ffctl("event", "list", "-n", "0", "--format", "{sequence}").lines)
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_consumer_that_is_killed_again_and_again_misses_nothing(place: Path, ffctl: Ffctl) -> None:
    assert ffctl("sub", "create", "worker", "-t", "n", "--from", "oldest", "--readahead", "50").code == 0
    assert ffctl("broadcast", "--lines", "-t", "n", stdin=numbered(5000)).code == 0
    heard: list[int] = []
    for _ in range(5):
        with subprocess.Popen(
            [*COMMAND, "tail", "worker", "--format", "{value}"], env=environment(place / "ffd.sock"),
            stdout=subprocess.PIPE, text=True,
        ) as consumer:  # fmt: skip
            assert consumer.stdout
            for _ in range(400):
                heard.append(int(consumer.stdout.readline()))
            consumer.kill()
            heard += values(consumer.stdout.read().splitlines())
    heard += values(ffctl("tail", "worker", "--idle", "2s", "--format", "{value}").lines)
    assert sorted(set(heard)) == list(range(5000))
    repeats = [before - after + 1 for before, after in pairwise(heard) if after != before + 1]
    assert len(repeats) <= 5 and all(0 < again <= 51 for again in repeats)


def test_an_event_is_shown_by_its_id_or_its_sequence_number(ffctl: Ffctl) -> None:
    ffctl("broadcast", "hello", "--confirm")
    by_number = json.loads(ffctl("event", "show", "3", "-o", "json").out)
    assert by_number["sequence"] == 3 and by_number["message"]["header"]["topics"] == ["default"]
    assert json.loads(ffctl("event", "show", by_number["id"], "-o", "json").out) == by_number
    assert "message" not in json.loads(ffctl("event", "show", "3", "--no-references", "-o", "json").out)
    missing = ffctl("event", "show", "4711")
    assert missing.code == 3 and "there is no event 4711 in namespace 'default'" in missing.err


def test_a_count_takes_exactly_so_many_each_time(ffctl: Ffctl) -> None:
    ffctl("broadcast", "--lines", stdin=numbered(20))
    heard: list[int] = []
    for count in (1, 1, 3, 7, 8):
        heard += values(
            ffctl("tail", "one", "--create", "--from", "oldest", "--count", str(count), "--format", "{value}").lines
        )
    assert heard == list(range(20))


def test_a_daemon_killed_in_the_middle_of_a_stream_loses_nothing_and_doubles_nothing(
    place: Path, ffd: subprocess.Popen[bytes], ffctl: Ffctl
) -> None:
    stdin = numbered(4000)
    words = ("broadcast", "--lines", "-t", "n", "--idempotency-key", "import", "-o", "id")
    accepted: set[str] = set()
    with ExitStack() as lives:
        for kill_after in (100, 900, 1700):
            with subprocess.Popen(
                [*COMMAND, *words], env=environment(place / "ffd.sock"), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            ) as sender:  # fmt: skip
                assert sender.stdin and sender.stdout and sender.stderr
                sender.stdin.write(stdin)
                sender.stdin.flush()
                accepted |= {sender.stdout.readline().strip() for _ in range(kill_after)}
                ffd.kill()
                # Not by `communicate`, which forgets what `readline` read ahead.
                accepted |= set(sender.stdout.read().split())
                assert sender.wait(30) == 5 and "of unknown outcome" in sender.stderr.read()
            ffd.wait()
            ffd = lives.enter_context(running(place))
        done = ffctl(*words, stdin=stdin)
        assert done.code == 0 and "accepted before" in done.err
        assert accepted <= set(done.lines) and len(set(done.lines)) == 4000
        heard = ffctl("tail", "--from", "oldest", "-t", "n", "--count", "4000", "--format", "{value}")
        assert values(heard.lines) == list(range(4000))
        assert ffctl("tail", "-t", "n", "-n", "1", "--idle", "1s", "--format", "{value}").out == "3999\n"


ODD: dict[str, tuple[int, list[str], str]] = {
    "an empty message": (2, ["broadcast", ""], ""),
    "a large message": (2, ["broadcast", "-"], "x" * 900_000),
    "a huge message": (2, ["broadcast", "-"], "x" * 100_000_000),
    "a line that is too large": (1, ["broadcast", "--lines"], "x" * 900_000),
    "a line that is much too large": (2, ["broadcast", "--lines"], "x" * 5_000_000),
    "invalid JSON": (2, ["broadcast", "--json", '{"a":}'], ""),
    "a bad topic": (2, ["broadcast", "-t", "a b", "x"], ""),
    "a long topic": (2, ["broadcast", "-t", "a" * 65, "x"], ""),
    "a topic twice": (2, ["broadcast", "-t", "a", "-t", "a", "x"], ""),
    "eleven topics": (2, ["broadcast", *(word for n in range(11) for word in ("-t", f"t{n}")), "x"], ""),
    "a bad tag": (2, ["broadcast", "--tag", "a b", "x"], ""),
    "a bad cid": (2, ["broadcast", "--cid", "nope", "x"], ""),
    "a bad line": (1, ["broadcast", "--lines", "-t", "a b"], "x\n"),
    "an unknown subscription": (3, ["tail", "nobody"], ""),
    "an unknown message": (3, ["msg", "show", "00000000-0000-4000-8000-000000000001"], ""),
    "an id that is none": (2, ["event", "show", "nope"], ""),
    "a bad expression": (2, ["tail", "--filter", "topic=("], ""),
    "a bad expression to keep": (2, ["sub", "create", "s", "--filter", "topic=("], ""),
    "a look-ahead, which RE2 has not": (2, ["sub", "create", "s", "--filter", "topic=(?=a)"], ""),
    "a bad name": (2, ["sub", "create", "a b"], ""),
    "an unknown namespace": (3, ["--namespace", "nope", "status"], ""),
    "an unknown namespace to listen to": (3, ["--namespace", "nope", "tail"], ""),
    "an unknown namespace to send lines to": (3, ["--namespace", "nope", "broadcast", "--lines"], "x\n"),
}  # fmt: skip


def test_odd_input_gets_a_clear_error_and_changes_nothing(ffctl: Ffctl) -> None:
    for case, (code, words, stdin) in ODD.items():
        done = ffctl(*words, stdin=stdin)
        assert done.code == code, (case, done)
        assert all(line.startswith(("ffctl: ", "hint: ")) for line in done.err.splitlines()), (case, done.err)
        assert "FF" in done.err.splitlines()[0]
    assert ffctl("msg", "list", "-n", "0").out == "" and ffctl("sub", "list").out == ""


def test_control_characters_go_through_as_data(ffctl: Ffctl) -> None:
    assert ffctl("broadcast", "-", stdin=NASTY.replace("\r", "")).code == 0
    event = json.loads(ffctl("tail", "--from", "oldest", "--count", "1", "-o", "ndjson").out)
    assert event["message"]["data"][0]["value"] == NASTY.replace("\r", "")


def test_a_value_comes_back_digit_for_digit(ffctl: Ffctl) -> None:
    value = '{"z":1.50,"a":12345678901234567890123,"e":1e400,"n":[null,-0]}'
    assert ffctl("broadcast", "--json", value).code == 0
    assert value in ffctl("tail", "--from", "oldest", "--count", "1", "-o", "ndjson").out
    assert ffctl("msg", "list", "--data", "--format", "{value}").out == value + "\n"


@pytest.fixture
def something(ffctl: Ffctl) -> Callable[[str], Done]:
    ffctl("broadcast", "-t", "orders", "x", "--confirm")
    ffctl("sub", "create", "worker", "--from", "oldest")
    return lambda words: ffctl(*words.split())


LISTS = (
    "msg list", "msg list --data", "op list",  "event list", "event list --references", "batch list",
    "pin list", "sub list",
)  # fmt: skip


def test_every_command_speaks_of_the_same_in_every_shape(something: Callable[[str], Done]) -> None:
    for words in LISTS:
        listed = json.loads(something(f"{words} -o json").out)
        assert listed and [json.loads(line) for line in something(f"{words} -o ndjson").lines] == listed
        assert len(something(f"{words} -o id").lines) == len(something(words).lines) == len(listed)
    for noun in ("msg", "event", "batch", "op", "sub"):
        id = something(f"{noun} list -n 1 -o id").out.strip()
        shown = json.loads(something(f"{noun} show {id} -o json").out)
        assert id in (shown.get("id"), shown.get("header", {}).get("id"))
        assert something(f"{noun} show {id}").lines and something(f"{noun} show {id} -o yaml").lines


def test_a_list_is_narrowed_by_the_daemon_as_it_was_meant(ffctl: Ffctl) -> None:
    for topics in (["a"], ["a", "b"], ["b", "a"], ["x", "a", "b"], ["ab"], ["b"]):
        ffctl("broadcast", *(word for topic in topics for word in ("-t", topic)), ",".join(topics))
    found = ffctl("msg", "list", "-t", "a", "--data", "--format", "{value}").lines
    assert found == ["a", "a,b", "b,a", "x,a,b"]
    assert ffctl("msg", "list", "--since", "1h", "--until", "now", "-o", "id").lines != []
    assert ffctl("msg", "list", "--until", "1h").out == ""
    assert len(ffctl("msg", "list", "--type", "broadcast").lines) == 6
    assert ffctl("msg", "list", "--type", "private", "--group", "ab" * 32).out == ""
    assert ffctl("msg", "list", "--group", "nobody").code == 3
    assert ffctl("pin", "list", "--waiting").out == ""


def test_an_operation_that_was_done_is_done_once_more(something: Callable[[str], Done]) -> None:
    done = json.loads(something("op list --type blockchain_pin_batch --status Succeeded -n 1 -o ndjson").out)
    retried = something(f"op retry {done['id']} -o json")
    assert retried.code == 0, retried.err
    again = json.loads(retried.out)
    assert again["tx"] == done["tx"] and again["id"] != done["id"]
    assert json.loads(something(f"op show {done['id']} -o json").out)["retry"] == again["id"]
    assert something("op list --tx nonsense").code == 2 and something("op list --status done").code == 2


def test_live_names_are_completed(something: Callable[[str], Done], ffctl: Ffctl) -> None:
    assert ffctl("tail", "", _FFCTL_COMPLETE="bash").lines == ["worker"]
    assert "orders" in ffctl("tail", "-t", "", _FFCTL_COMPLETE="bash").lines


def test_a_second_reader_waits_for_the_first_and_takes_over(place: Path, ffctl: Ffctl) -> None:
    ffctl("sub", "create", "worker", "--from", "oldest")
    words = [*COMMAND, "tail", "worker", "--format", "{value}"]
    with ExitStack() as readers:
        first, second = [
            readers.enter_context(killed_in_the_end(words, environment(place / "ffd.sock"))) for _ in range(2)
        ]
        assert first.stdout and second.stdout
        ffctl("broadcast", "one")
        ready, _, _ = select.select([first.stdout, second.stdout], [], [], 10)
        holder, other = (first, second) if first.stdout in ready else (second, first)
        assert holder.stdout and holder.stdout.readline() == "one\n"
        holder.kill()
        ffctl("broadcast", "two")
        assert other.stdout
        heard = other.stdout.readline()
        if heard == "one\n":  # it was killed before its ack was on disk
            heard = other.stdout.readline()
        assert heard == "two\n"


@contextmanager
def killed_in_the_end(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
