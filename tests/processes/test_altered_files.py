"""Files that were altered behind a node's back: it notices, says so, and holds back what depends on them alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ffd.model.ids import sha256
from tests.processes.node import Node, query, until

TOPICS = ("altered", "cut", "removed", "replaced", "spared")
VALUES = ("1", "2", "3")


@pytest.fixture
def batches(node: Node) -> dict[str, Path]:
    """A node that has sent some messages, each in a batch of its own, and lost its database; each message's file."""
    daemon = node.start()
    files: dict[str, Path] = {}
    for value in VALUES:
        for topic in TOPICS:
            before = set(stored(node))
            node.broadcast(topic, value)
            (files[topic + value],) = set(stored(node)) - before
    node.stop(daemon)
    for path in node.state.glob("ffd.db*"):
        path.unlink()
    return files


def stored(node: Node) -> list[Path]:
    return [path for path in (node.state / "storage").rglob("*") if path.is_file()]


def blocked(node: Node) -> dict[str, Any]:
    """What waits, by its topic."""
    return {each["topic"]: each for each in node.facts()["blocked"]}


def all_is_back(node: Node) -> bool:
    return bool(node.sequences()["pins"] == len(TOPICS) * len(VALUES) and node.settled())


def test_a_node_without_its_database_builds_it_again_from_ledger_and_storage(
    node: Node, batches: dict[str, Path]
) -> None:
    daemon = node.start()
    until("all is confirmed again", lambda: all_is_back(node))
    assert {topic: node.confirmed(topic) for topic in TOPICS} == {topic: list(VALUES) for topic in TOPICS}
    assert blocked(node) == {}
    node.stop(daemon)


def test_a_batch_that_is_not_what_was_pinned_holds_its_own_topic_until_it_is_restored(
    node: Node, batches: dict[str, Path]
) -> None:
    harmed = {topic: batches[topic + "2"] for topic in TOPICS if topic != "spared"}
    originals = {path: path.read_bytes() for path in harmed.values()}
    content = originals[harmed["altered"]]
    harmed["altered"].write_bytes(content.replace(b'"value":"2"', b'"value":"9"'))
    harmed["cut"].write_bytes(originals[harmed["cut"]][:-1])
    harmed["removed"].unlink()
    harmed["replaced"].write_bytes(batches["spared3"].read_bytes())
    assert harmed["altered"].read_bytes() != content

    daemon = node.start()
    until("the other topic flows", lambda: node.confirmed("spared") == list(VALUES))
    until("what waits has its reasons", lambda: set(blocked(node)) == set(harmed) and all_have_reasons(node))
    for topic, path in harmed.items():
        assert node.confirmed(topic) == ["1"], "what is before it is confirmed, what is behind it waits"
        context = blocked(node)[topic]
        assert context["context"] == sha256(topic.encode()).hex()
        assert context["cause"] == "payload" and context["pins"] == 2
        assert context["batch"] == context["subject"] and str(path) in context["error"]
    assert "was altered" in blocked(node)["altered"]["error"]
    assert "is not there" in blocked(node)["removed"]["error"]
    assert "was altered" in node.run("status"), "as a user sees it"
    assert node.is_ready(), "the node works"
    node.broadcast("spared", "4")

    for path, original in originals.items():
        path.write_bytes(original)
    until("all topics flow again", lambda: blocked(node) == {})
    node.wait_settled()
    for topic in harmed:
        assert node.confirmed(topic) == list(VALUES)
    node.stop(daemon)
    told = node.rows("SELECT topic, count(*) FROM events WHERE type = 'message_confirmed' GROUP BY topic")
    assert dict(told) == dict.fromkeys(harmed, 3) | {"spared": 4}


def all_have_reasons(node: Node) -> bool:
    return all("error" in context for context in blocked(node).values())


def test_a_ledger_entry_that_was_altered_stops_the_reading_and_is_named(node: Node, batches: dict[str, Path]) -> None:
    ledger = node.state / "ledger.db"
    query(ledger, "UPDATE entries SET body = replace(body, 'default', 'elsewhere') WHERE height = 7")
    daemon = node.launch()
    until("it answers", lambda: ready(node) is not None)
    reasons = until("it is not ready", lambda: reasons_of(node))
    assert reasons == [
        "role intake:local: FFD4011: ledger entry 7 was altered: its text or its signature is not what was recorded; "
        "nothing from there on is believed: stop the nodes of this ledger, put back a copy of its file that has the "
        "entry as it was, and start them"
    ]
    roles = {role["name"]: role for role in node.facts()["roles"]}
    assert roles["intake:local"]["state"] == "failing" and "ledger entry 7" in roles["intake:local"]["error"]
    waiting = node.ffctl("wait", "ready", "--timeout", "500ms")
    assert waiting.code == 6 and "ledger entry 7" in waiting.err
    assert not {"2", "3"} & set(node.confirmed("removed")), "nothing from there on is believed"

    query(ledger, "UPDATE entries SET body = replace(body, 'elsewhere', 'default') WHERE height = 7")
    until("it reads on", lambda: ready(node))
    until("all is confirmed again", lambda: all_is_back(node))
    assert node.confirmed("removed") == list(VALUES)
    node.stop(daemon)


def ready(node: Node) -> bool | None:
    try:
        return node.get("/readyz")[0] == 200
    except OSError:
        return None


def reasons_of(node: Node) -> list[str]:
    status, said = node.get("/readyz")
    return list(said["reasons"]) if status == 503 else []


def test_a_ledger_that_is_an_older_copy_is_named(node: Node) -> None:
    daemon = node.start()
    node.broadcast("t", "one")
    node.stop(daemon)
    ledger = node.state / "ledger.db"
    query(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")
    older = ledger.read_bytes()
    daemon = node.start()
    node.broadcast("t", "two")
    node.stop(daemon)
    query(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.write_bytes(older)
    daemon = node.launch()
    until("it answers", lambda: ready(node) is not None)
    reasons = until("it is not ready", lambda: reasons_of(node))
    assert reasons == [
        f"role intake:local: FFD4020: ledger {ledger} ends before entry 1, which this node has read: it is an older "
        "copy; put the right file back"
    ]
    node.stop(daemon)


def test_own_batches_that_vanish_are_put_back_from_the_nodes_own_rows(node: Node) -> None:
    """What this node sealed it has: a storage that lost it is mended, and nobody waits."""
    accepting = node.start("--roles", "sequencer")
    node.run("broadcast", "-t", "a", "a1")
    until("it is pinned", lambda: node.facts()["ledger"]["height"] == 1)
    node.stop(accepting)
    (path,) = stored(node)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    daemon = node.start()
    node.wait_settled()
    assert node.confirmed("a") == ["a1"]
    assert path.read_bytes() == content
    node.stop(daemon)
