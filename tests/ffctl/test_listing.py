"""Lists: the last N, all of them page by page, a window of time, and what is new."""

import signal
import subprocess

import pytest

from ffctl import listing
from tests.ffctl.conftest import COMMAND, Ffctl, environment
from tests.ffctl.standin import Node, Row, uid


def filled(node: Node, count: int, *, same_time: bool = False) -> None:
    for number in range(count):
        node.broadcast({"header": {"topics": ["even" if number % 2 == 0 else "odd"]}, "data": [{"value": number}]})
    if same_time:
        for row in node.rows["messages"]:
            row["header"]["created"] = "2026-03-01T12:00:00Z"


def test_a_list_is_the_last_25_with_the_newest_last(node: Node, here: Ffctl) -> None:
    filled(node, 60)
    assert here("msg", "list", "-o", "id").lines == [uid(number) for number in range(36, 61)]
    assert here("msg", "list", "-n", "2", "-o", "id").lines == [uid(59), uid(60)]
    assert here("event", "list", "-n", "3", "--format", "{sequence}").lines == ["57", "58", "59"]
    assert here("event", "list", "--after", "57", "--format", "{sequence}").lines == ["58", "59"]


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 20, 21, 22])
@pytest.mark.parametrize("same_time", [False, True])
def test_pages_join_without_a_gap_or_a_repeat(
    count: int, same_time: bool, node: Node, here: Ffctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 7)
    filled(node, count, same_time=same_time)
    everything = [uid(number + 1) for number in range(count)]
    assert here("msg", "list", "-n", "0", "-o", "id").lines == everything
    assert here("msg", "list", "-n", "15", "-o", "id").lines == everything[-15:]
    assert here("event", "list", "-n", "0", "--format", "{sequence}").lines == [str(number) for number in range(count)]


def test_a_list_is_narrowed(node: Node, here: Ffctl) -> None:
    filled(node, 10)
    assert here("msg", "list", "--topic", "odd", "-o", "id").lines == [uid(number) for number in (2, 4, 6, 8, 10)]
    assert len(here("event", "list", "--topic", "odd", "--topic", "even").lines) == 10
    assert here("msg", "list", "--since", "2026-03-01T12:00:00.009Z", "-o", "id").lines == [uid(9), uid(10)]
    window = ("--since", "2026-03-01T12:00:00.003Z", "--until", "2026-03-01T12:00:00.005Z")
    assert here("event", "list", *window, "--format", "{sequence}").lines == ["2", "3"]
    assert here("msg", "list", "--state", "rejected").out == ""


def test_a_topic_is_found_among_several(node: Node, here: Ffctl) -> None:
    for topics in (["a"], ["a", "b"], ["b", "a"], ["x", "a", "b"], ["ab"], ["b"]):
        node.broadcast({"header": {"topics": topics}, "data": [{"value": 1}]})
    assert here("msg", "list", "--topic", "a", "-o", "id").lines == [uid(number) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(("noun", "name"), [("event", "{sequence}"), ("msg", "{id}")])
def test_following_prints_what_is_new_and_nothing_twice(noun: str, name: str, node: Node) -> None:
    filled(node, 5)
    with subprocess.Popen(
        [*COMMAND, noun, "list", "-n", "2", "-f", "--format", name], env=environment(node.path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        first = [process.stdout.readline().strip() for _ in range(2)]
        filled(node, 3)
        new = [process.stdout.readline().strip() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    whole = [str(number) for number in range(8)] if noun == "event" else [uid(number + 1) for number in range(8)]
    assert first + new == whole[3:] and out == ""
    assert (process.returncode, err) == (130, "3 new\n")


def test_subscriptions_are_found_by_name_and_by_id(node: Node, here: Ffctl) -> None:
    assert here("sub", "create", "a", "--topic", "t", "--from", "oldest").code == 0
    row: Row = node.rows["subscriptions"][0]
    assert row["filter"] == {"topic": "^(?:t)$", "events": "^(?:message_confirmed|message_rejected)$"}
    assert row["options"]["readAhead"] == 200
    assert (
        here("sub", "show", "a", "-o", "id").out == here("sub", "show", row["id"], "-o", "id").out == f"{row['id']}\n"
    )
    assert here("sub", "create", "b").code == 0
    assert here("sub", "delete", "a", "no such").code == 3
    assert len(node.rows["subscriptions"]) == 2
    assert here("sub", "delete", "a", "b", "--format", "{name}").lines == ["a", "b"]
    assert node.rows["subscriptions"] == []
