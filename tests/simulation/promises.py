"""What must hold of any node at any time: ffd's promises, checked on its tables and on what its apps heard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ffd.model.ids import sha256
from tests.world import MESSAGE_CONFIRMED, MESSAGE_REJECTED, App, Heard, Node


def check_node(node: Node) -> None:
    """Nothing is missing, doubled or out of order on a running node."""
    check_integrity(node)
    check_events(node)
    for app in node.apps.values():
        check_app(app)


def check_integrity(node: Node) -> None:
    """The database is whole."""
    assert node.rows("PRAGMA integrity_check") == [("ok",)]
    assert node.rows("PRAGMA foreign_key_check") == []


def check_events(node: Node) -> None:
    """One gap-free sequence; one event for each message and topic, of one kind."""
    sequences = [row[0] for row in node.rows("SELECT sequence FROM events ORDER BY sequence")]
    assert sequences == list(range(1, len(sequences) + 1)), f"{node.name} has gaps: {sequences}"
    told = node.rows("SELECT type, reference, topic FROM events WHERE type LIKE 'message_%'")
    assert len({(row[1], row[2]) for row in told}) == len(told), f"{node.name} tells a thing twice: {told}"
    assert node.rows("SELECT count(*) FROM events GROUP BY id HAVING count(*) > 1") == []


def check_app(app: App) -> None:
    """First deliveries rise without a gap in what matches; a life repeats at most a window, and recognisably."""
    known: dict[int, Heard] = {}
    for life in app.log:
        highest = max(known, default=0)
        again = {event.sequence for event in life if event.sequence <= highest}
        assert len(again) <= app.window, f"{app.name} heard {len(again)} again and had a window of {app.window}"
        for event in life:
            assert known.setdefault(event.sequence, event) == event, f"{app.name}: {event} was {known[event.sequence]}"
    first = [event.sequence for event in app.heard()]
    assert first == sorted(first), f"{app.name} heard {first}"


def check_heard_all(node: Node, app: App) -> None:
    """An app without a filter has heard the whole table of events, each first in its turn."""
    table = node.rows("SELECT sequence, type FROM events ORDER BY sequence")
    heard = [(event.sequence, event.type) for event in app.heard()]
    assert heard == table[: len(heard)]
    assert len(heard) == len(table), f"{app.name} misses {table[len(heard) :]}"


def check_accepted_once(node: Node, app: App) -> None:
    """Every accepted message was heard once, in the order it was accepted."""
    heard = [event.reference for event in app.heard(MESSAGE_CONFIRMED, MESSAGE_REJECTED)]
    own = [reference for reference in heard if reference in node.accepted]
    assert own == list(node.accepted), f"{node.name} accepted {list(node.accepted)} and heard {own}"


def orders(app: App) -> dict[str, list[tuple[str, str]]]:
    """For each topic, the messages in the order heard, and whether they were confirmed."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for event in app.heard(MESSAGE_CONFIRMED, MESSAGE_REJECTED):
        found[event.topic].append((event.reference, event.type))
    return dict(found)


async def check_blobs(node: Node) -> None:
    """Every blob that a row speaks of, or a message carries, is here whole; there is no other file."""
    rows = {row[0] for row in node.rows("SELECT hash FROM blobs")}
    used = {bytes.fromhex(row[0]) for row in node.rows("SELECT blob ->> '$.hash' FROM data WHERE blob IS NOT NULL")}
    assert used <= rows
    assert node.blob_files() == sorted(hash.hex() for hash in rows)
    for hash in rows:
        assert sha256(await node.blob(hash)) == hash


def check_same_order(nodes: Sequence[Node]) -> None:
    """Every topic has the same messages in the same order on every node."""
    first, *others = [orders(node.apps["app"]) for node in nodes]
    for other in others:
        assert other == first
