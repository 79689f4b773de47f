"""`ffctl network`: several members made, started, stopped and looked at, with the real ffd."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ffctl.network import plan, processes
from tests.ffctl.conftest import COMMAND, Ffctl, environment

PATIENCE_S = 60.0
FAST_S = 30.0
"""From nothing to members that hear each other; a machine of its own needs less than two seconds."""


@pytest.fixture
def play(place: Path, ffctl: Ffctl) -> Iterator[Path]:
    """A network of three, made and not started; whatever runs in the end is stopped."""
    folder = place / "play"
    done = ffctl("network", "init", "--members", "3", "play")
    assert done.code == 0, done.err
    yield folder
    assert ffctl("network", "down", "play").code == 0


def until(what: str, look: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end, f"not so in time: {what}"
        time.sleep(0.05)


def states(ffctl: Ffctl) -> list[str]:
    return ffctl("network", "status", "play", "--format", "{state}").lines


def at(member: str) -> tuple[str, str]:
    return ("--socket", f"play/{member}/ffd.sock")


def heard(ffctl: Ffctl, member: str, count: int) -> list[str]:
    words = ("tail", "--from", "oldest", "-t", "t", "--count", str(count), "--format", "{value}")
    return ffctl(*at(member), *words).lines


@contextmanager
def killed_in_the_end(words: list[str], env: dict[str, str], place: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        words, env=env, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_is_made_is_whole_private_and_good(place: Path, play: Path, ffctl: Ffctl) -> None:
    assert sorted(os.listdir(place)) == ["play"], "nothing is left beside it"
    assert sorted(os.listdir(play)) == ["member1", "member2", "member3", "network.json", "shared"]
    for path in play.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    keys = {path.read_bytes() for path in play.glob("*/state/keys/org.pem")}
    assert len(keys) == 3 == len({path.read_bytes() for path in play.glob("*/tls/key.pem")})
    for config in sorted(play.glob("*/ffd.toml")):
        command = [sys.executable, "-m", "ffd", "--check-config", "--config", str(config)]
        env = {name: text for name, text in environment(place).items() if name != "FFD_SOCKET"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        assert done.stdout == f"good: state in {config.parent}/state, socket {config.parent}/ffd.sock\n", done.stderr
    again = ffctl("network", "init", "play")
    assert again.code == 4 and "not empty" in again.err


def test_three_members_exchange_private_messages_from_nothing_and_soon(place: Path, ffctl: Ffctl) -> None:
    began = time.monotonic()
    assert ffctl("network", "init", "--members", "3", "play").code == 0
    try:
        up = ffctl("network", "up", "play", "--format", "{member} {state} {knows}")
        assert up.lines == [f'member{n} ready ["member1","member2","member3"]' for n in (1, 2, 3)], up.err
        for number in (1, 2, 3):
            others = [word for n in (1, 2, 3) if n != number for word in ("--to", f"member{n}")]
            assert ffctl(*at(f"member{number}"), "send", *others, "-t", "t", f"from {number}").code == 0
        orders = [heard(ffctl, f"member{number}", 3) for number in (1, 2, 3)]
        took_s = time.monotonic() - began
        assert sorted(orders[0]) == ["from 1", "from 2", "from 3"] and orders[0] == orders[1] == orders[2]
        assert took_s < FAST_S
        assert len({ffctl(*at(f"member{n}"), "group", "list", "-o", "id").out for n in (1, 2, 3)}) == 1
        assert ffctl(*at("member1"), "send", "--to", "member2", "-t", "t", "for two", "--confirm").code == 0
        assert heard(ffctl, "member2", 4)[3] == "for two"
        assert len(ffctl(*at("member3"), "msg", "list", "-t", "t").lines) == 3
        assert len(ffctl(*at("member3"), "group", "list").lines) == 1
    finally:
        assert ffctl("network", "down", "play").code == 0


def test_lines_of_several_members_have_one_order_on_all(play: Path, place: Path, ffctl: Ffctl) -> None:
    assert ffctl("network", "up", "play").code == 0
    words = ("send", "--lines", "--confirm", "--to", "member1", "--to", "member2", "--to", "member3", "-t", "t")
    for number in range(3):
        (place / f"lines{number}").write_text("".join(f"{number} {line}\n" for line in range(100)))
    senders = [
        subprocess.Popen(
            [*COMMAND, *at(f"member{number + 1}"), *words, f"@lines{number}"], env=environment(place / "ffd.sock"),
            cwd=place, stderr=subprocess.PIPE, text=True,
        )
        for number in range(3)
    ]  # fmt: skip
    for sender in senders:
        _, said = sender.communicate(timeout=PATIENCE_S)
        assert sender.returncode == 0 and "100 confirmed" in said, said
    orders = [heard(ffctl, f"member{number}", 300) for number in (1, 2, 3)]
    assert orders[0] == orders[1] == orders[2]
    for number in range(3):
        mine = [line for line in orders[0] if line.startswith(f"{number} ")]
        assert mine == [f"{number} {line}" for line in range(100)]


def test_a_question_is_answered_by_a_member(play: Path, place: Path, ffctl: Ffctl) -> None:
    assert ffctl("network", "up", "play", "member1", "member2").code == 0
    words = [*COMMAND, *at("member1"), "request", "--to", "member2", "--tag", "price", "limes?", "--format", "{value}"]
    with killed_in_the_end(words, environment(place / "ffd.sock"), place) as asking:
        asked = ffctl(*at("member2"), "tail", "--from", "oldest", "--tag", "price", "--count", "1", "-o", "json")
        header = json.loads(asked.out)["message"]["header"]
        answer = ("send", "--group", header["group"], "--cid", header["id"], "two for 1.00")
        assert ffctl(*at("member2"), *answer).code == 0
        assert asking.communicate(timeout=PATIENCE_S)[0] == "two for 1.00\n"


def test_what_a_member_is_owed_can_be_seen_and_comes_when_it_is_back(play: Path, ffctl: Ffctl) -> None:
    assert ffctl("network", "up", "play").code == 0
    assert ffctl("network", "down", "play", "member2").code == 0
    assert ffctl(*at("member1"), "send", "--to", "member2", "-t", "t", "later").code == 0
    owed = ("op", "list", "--type", "dataexchange_send_batch", "--status", "Initialized", "--format", "{error}")
    until("it was tried", lambda: "cannot be reached" in ffctl(*at("member1"), *owed).out)
    assert ffctl("network", "up", "play", "member2").code == 0
    assert heard(ffctl, "member2", 1) == ["later"]
    until("it is settled", lambda: ffctl(*at("member1"), *owed).out == "")


def test_a_member_that_was_down_or_killed_catches_up(play: Path, ffctl: Ffctl) -> None:
    assert ffctl("network", "up", "play").code == 0
    assert ffctl("network", "down", "play", "member2").code == 0
    assert states(ffctl) == ["ready", "down", "ready"]
    assert ffctl(*at("member1"), "broadcast", "-t", "t", "one").code == 0
    third = processes.running(plan.read(play).members[2])
    assert third is not None
    os.kill(third, signal.SIGKILL)
    until("member3 is down", lambda: states(ffctl) == ["ready", "down", "down"])
    before = ffctl("network", "status", "play", "member1", "--format", "{pid}").out
    up = ffctl("network", "up", "play")
    assert up.code == 0 and len(up.lines) == 3, up.err
    assert ffctl("network", "status", "play", "member1", "--format", "{pid}").out == before, "it was left as it is"
    assert [heard(ffctl, member, 1) for member in ("member2", "member3")] == [["one"], ["one"]]
    down = ffctl("network", "down", "play")
    assert down.code == 0 and "3 of 3" in down.err
    assert "0 of 3" in ffctl("network", "down", "play").err
    assert states(ffctl) == ["down"] * 3


def test_a_batch_that_cannot_leave_is_given_up_after_a_look_at_what_that_does(play: Path, ffctl: Ffctl) -> None:
    assert ffctl("network", "up", "play", "member1").code == 0
    storage = play / "shared" / "storage"
    storage.rename(play / "away")
    storage.touch()
    sent = ffctl(*at("member1"), "broadcast", "-t", "t", "never", "-o", "id").out.strip()
    stuck = ("op", "list", "--type", "sharedstorage_upload_batch", "--status", "Initialized", "--format", "{batch}")
    until("the batch is stuck", lambda: ffctl(*at("member1"), *stuck).out != "")
    batch = ffctl(*at("member1"), *stuck).out.strip()
    look = ffctl(*at("member1"), "batch", "cancel", batch, "-o", "json")
    assert json.loads(look.out)["cancelled"] == [sent] and "nothing was done" in look.err
    assert ffctl(*at("member1"), "msg", "show", sent, "--format", "{state}").out == "ready\n"
    done = ffctl(*at("member1"), "batch", "cancel", batch, "--yes", "-o", "json")
    assert (done.code, done.out, done.err) == (0, look.out, "")
    assert ffctl(*at("member1"), "msg", "show", sent, "--format", "{state}").out == "cancelled\n"
    again = ffctl(*at("member1"), "batch", "cancel", batch)
    assert again.code == 2 and "FF10468" in again.err
    storage.unlink()
    (play / "away").rename(storage)
    assert ffctl(*at("member1"), "broadcast", "-t", "t", "after", "--confirm").code == 0
    assert heard(ffctl, "member1", 1) == ["after"]


def test_a_number_that_is_another_process_by_now_is_no_member(play: Path) -> None:
    member = plan.read(play).members[0]
    member.pid_file.write_text(f"{os.getpid()} 1\n")
    assert processes.running(member) is None
    member.pid_file.write_text("nonsense")
    assert processes.running(member) is None


def test_a_member_that_cannot_start_says_why_and_leaves_nothing_behind(play: Path, ffctl: Ffctl) -> None:
    with (play / "member2" / "ffd.toml").open("a") as config:
        config.write("\n[batch]\nmesages_max = 1\n")
    done = ffctl("network", "up", "play")
    assert done.code == 1 and "member member2 has ended" in done.err and "batch.mesages_max: unknown key" in done.err
    assert states(ffctl) == ["down"] * 3


def test_logs_are_one_story_in_the_order_of_time(play: Path, ffctl: Ffctl) -> None:
    for number, member in enumerate(("member1", "member2", "member3")):
        lines = [
            json.dumps({"time": f"2026-03-01T12:00:{second:02d}Z", "level": "info", "message": f"{member} {second}"})
            for second in range(number, 60, 3)
        ]
        (play / member / "ffd.log").write_text("\n".join(lines) + "\nTraceback: \x1b[31mof Python\n")
    rows = [json.loads(line) for line in ffctl("network", "logs", "play", "-n", "0", "-o", "ndjson").lines]
    told = [row["message"] for row in rows if "time" in row]
    assert told == [f"member{second % 3 + 1} {second}" for second in range(60)]
    last = ffctl("network", "logs", "play", "member3", "-n", "2")
    assert last.lines[0].split("\t") == ["2026-03-01T12:00:59Z", "member3", "info", "member3 59"]
    assert last.lines[1].split("\t") == ["", "member3", "", "Traceback: \\x1b[31mof Python"]


def test_logs_are_followed(place: Path, play: Path) -> None:
    words = [*COMMAND, "network", "logs", "play", "-f", "--format", "{member} {message}"]
    env = environment(place / "ffd.sock")
    with killed_in_the_end(words, env, place) as following:
        assert following.stdout
        for number in (1, 2):
            with (play / "member2" / "ffd.log").open("a") as log:
                log.write(f'{{"message":"line {number}"}}\n')
            assert following.stdout.readline() == f"member2 line {number}\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(PATIENCE_S) == 130


@pytest.mark.parametrize("ends", ["Ctrl-C", "down"])
def test_in_the_foreground_members_live_as_long_as_the_command(
    ends: str, place: Path, play: Path, ffctl: Ffctl
) -> None:
    words = [*COMMAND, "network", "up", "--foreground", "play"]
    env = environment(place / "ffd.sock")
    with killed_in_the_end(words, env, place) as staying:
        assert staying.stdout and staying.stderr
        assert staying.stderr.readline().startswith("3 members are up")
        told: set[str] = set()
        while len(told) < 3:
            told.add(staying.stdout.readline().split("\t")[1])
        assert states(ffctl) == ["ready"] * 3
        if ends == "Ctrl-C":
            staying.send_signal(signal.SIGINT)
        else:
            assert ffctl("network", "down", "play").code == 0
        assert staying.wait(PATIENCE_S) == (130 if ends == "Ctrl-C" else 0)
        assert "stopping" in staying.stdout.read()
    assert states(ffctl) == ["down"] * 3


def test_two_cannot_start_and_stop_at_once(play: Path, ffctl: Ffctl) -> None:
    with plan.alone(plan.read(play)):
        for verb in ("up", "down"):
            done = ffctl("network", verb, "play")
            assert done.code == 7 and "another ffctl" in done.err


def test_names_ports_and_doors_are_as_asked(place: Path, ffctl: Ffctl) -> None:
    words = ("network", "init", "--member", "alice", "--member", "bob", "--http", "--port", "21000", "-o", "json", "b")
    made = ffctl(*words)
    assert made.code == 0, made.err
    rows = json.loads(made.out)
    assert [(row["member"], row["exchangePort"], row["http"]) for row in rows] == [
        ("alice", 21000, "http://127.0.0.1:21002"), ("bob", 21001, "http://127.0.0.1:21003")
    ]  # fmt: skip
    ports = {
        json.loads(ffctl("network", "init", "--members", "1", "-o", "ndjson", name).out)["exchangePort"]
        for name in ("c", "d", "e")
    }
    assert len(ports) == 3, "networks that are down keep their ports to themselves"


ODD: dict[str, tuple[list[str], int, str]] = {
    "no network": (["up", "nowhere"], 3, "there is no network in nowhere"),
    "no member": (["up", "play", "mallory"], 3, "has no member 'mallory'"),
    "no members": (["init", "--members", "0", "x"], 2, "1 to 50"),
    "a bad name": (["init", "--member", "a b", "x"], 2, "is no name"),
    "a name twice": (["init", "--member", "a", "--member", "a", "x"], 2, "the same name"),
    "the name of a folder": (["init", "--member", "shared", "x"], 2, "'shared'"),
    "a long path": (["init", "x" * 100], 2, "longer than 107 bytes"),
    "a place that is none": (["init", "play/network.json/x"], 1, "cannot be written"),
    "a file": (["init", "play/network.json"], 4, "is there already"),
    "two ways": (["up", "--foreground", "--systemd", "play"], 2, "exclude one another"),
}


def test_odd_wishes_change_nothing(place: Path, play: Path, ffctl: Ffctl) -> None:
    for case, (words, code, why) in ODD.items():
        done = ffctl("network", *words)
        assert done.code == code and why in done.err, (case, done)
    assert os.listdir(place) == ["play"] and states(ffctl) == ["down"] * 3


def test_a_network_that_was_moved_or_damaged_is_not_touched(place: Path, play: Path, ffctl: Ffctl) -> None:
    play.rename(place / "moved")
    done = ffctl("network", "up", "moved")
    assert done.code == 2 and "was made elsewhere" in done.err
    (place / "moved").rename(play)
    whole = (play / "network.json").read_text()
    (play / "network.json").write_text(whole[:40])
    assert ffctl("network", "up", "play").code == 2
    (play / "network.json").write_text(whole)


def test_members_are_completed(play: Path, ffctl: Ffctl) -> None:
    assert ffctl("network", "up", "play", "", _FFCTL_COMPLETE="bash").lines == ["member1", "member2", "member3"]
    assert ffctl("network", "up", "nowhere", "", _FFCTL_COMPLETE="bash").lines == []
