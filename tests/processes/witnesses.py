"""What clients saw and what the node's table holds, brought into the form that the checker takes.

A message's value is its number in its sender's file; its idempotency key, `SENDER:NUMBER`, says the same. So the table
knows a message's place by its key, a reader by its content, and the checker that both are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from ffd.model.ids import format_uuid
from tests.processes.history import Fault, History, Outcome, Reader, Row, Sent, Value, faults, unheard
from tests.processes.node import Node, Program


def attempts(sender: str, count: int, lives: Iterable[Program]) -> list[Sent]:
    """What the lives of a sender of lines were told, each printing `-o ndjson`; any line may have been sent unheard."""
    found = [Sent((sender, number), Outcome.UNKNOWN) for number in range(1, count + 1)]
    for life in lives:
        for told in map(json.loads, life.lines()):
            assert told["state"] in ("accepted", "duplicate"), told
            found.append(Sent((sender, told["line"]), Outcome.ACCEPTED, told["id"]))
    return found


def heard(lives: Iterable[Program]) -> list[list[Row]]:
    """What the lives of a tail heard, each printing `-o ndjson`."""
    return [[_heard(json.loads(line)) for line in life.lines()] for life in lives]


def _heard(event: dict[str, object]) -> Row:
    assert event["type"] == "message_confirmed", event
    message = event["message"]
    assert isinstance(message, dict)
    value = message["data"][0]["value"]
    return Row(_int(event["sequence"]), str(event["id"]), str(event["reference"]), str(event["topic"]), place(value))


def place(text: str) -> Value:
    """`SENDER:NUMBER`."""
    sender, _, number = text.rpartition(":")
    return sender, int(number)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def history_of(node: Node, sent: Sequence[Sent], readers: Sequence[Reader]) -> History:
    """The whole history, once the node is stopped; its database must be sound."""
    assert node.rows("PRAGMA integrity_check") == [("ok",)]
    assert node.rows("PRAGMA foreign_key_check") == []
    assert node.rows("SELECT type FROM events WHERE type LIKE 'message_%' AND type <> 'message_confirmed'") == []
    rows = node.rows(
        """
        SELECT e.sequence, e.id, e.reference, e.topic, m.idempotency_key
          FROM events e JOIN messages m ON m.id = e.reference AND m.namespace = e.namespace
         WHERE e.type = 'message_confirmed' ORDER BY e.sequence"""
    )
    table = [
        Row(sequence, format_uuid(id), format_uuid(message), topic, place(key))
        for sequence, id, message, topic, key in rows
    ]
    sequences = [sequence for (sequence,) in node.rows("SELECT sequence FROM events")]
    return History(sent, table, sequences, readers)


def check(history: History) -> list[Fault]:
    """Everything that was broken; every reader must have heard all there is."""
    for reader in history.readers:
        missing = unheard(reader, history.table)
        assert missing == [], f"{reader.name} never heard {len(missing)} events, first {missing[0]}"
    return faults(history)
