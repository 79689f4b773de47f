"""What clients saw on every member, brought into the form that the checker takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.network import history
from tests.network.actors import READAHEAD, TAG, Reader, Sender
from tests.network.history import Line, NetworkHistory, Told
from tests.network.members import Network
from tests.processes.node import Node
from tests.processes.witnesses import place


def history_of(
    network: Network,
    senders: Iterable[Sender],
    readers: Mapping[str, Reader],
    groups: Mapping[str, frozenset[str]],
) -> NetworkHistory:
    """The whole history, while all is quiet; every member is asked for all that it has, from the first event on."""
    labels = group_labels(network)
    members = []
    for name, member in network.members.items():
        events = whole_story(member.node)
        assert not [event for event in events if event["type"] == "message_rejected"], name
        lives = [heard(map(json.loads, life.lines()), labels) for life in readers[name].lives]
        sequences = [event["sequence"] for event in events]
        members.append(history.Member(name, heard(events, labels), sequences, lives, READAHEAD + 1))
    sent = [attempt for sender in senders for attempt in sender.attempts]
    return NetworkHistory(sent, members, groups, network.pinned())


def whole_story(node: Node) -> list[dict[str, Any]]:
    """All events of a node in their order, as somebody hears them who begins with the oldest."""
    count = node.sequences()["events"]
    words = ("tail", "--all", "--from", "oldest", "--count", str(count), "-o", "ndjson")
    return [json.loads(line) for line in node.run(*words).splitlines()]


def heard(events: Iterable[Mapping[str, Any]], labels: Mapping[str, str]) -> list[Told]:
    """The confirmed messages of a campaign among these events."""
    return [
        told(event, labels)
        for event in events
        if event["type"] == "message_confirmed" and event["message"]["header"].get("tag") == TAG
    ]


def told(event: Mapping[str, Any], labels: Mapping[str, str]) -> Told:
    message = event["message"]
    header, (data,) = message["header"], message["data"]
    group = labels.get(header.get("group", ""), header.get("group", ""))
    line = Line(event["topic"], group, header["txtype"] == "batch_pin")
    content = json.dumps([header, message["hash"], data["id"], data["hash"], data["value"]])
    return Told(
        event["sequence"], event["id"], event["reference"], line, place(data["value"]), message["batch"], content
    )


def group_labels(network: Network) -> dict[str, str]:
    """The name of each group by its hash, from whoever knows it."""
    found: dict[str, str] = {}
    for member in network.members.values():
        found |= {group["hash"]: group["name"] for group in member.find("groups?limit=1000")}
    return found


def due(senders: Sequence[Sender], name: str, groups: Mapping[str, frozenset[str]]) -> int:
    """How many of the messages that were accepted are for a member."""
    lines = {sent.value: sent.lines[0] for sender in senders for sent in sender.attempts if sent.id}
    return sum(not line.group or name in groups[line.group] for line in lines.values())


def number_confirmed(node: Node) -> int:
    """How many messages of the campaign a node has confirmed; none while it does not answer."""
    found = _ask(node, f"messages?tag={TAG}&state=confirmed&count&limit=1")
    return int(found["total"]) if found else 0


def newest(node: Node) -> int:
    """The sequence of the newest event of the campaign."""
    events = _ask(node, "events?type=message_confirmed&sort=-sequence&limit=100&fetchreferences") or []
    return max((event["sequence"] for event in events if event["message"]["header"].get("tag") == TAG), default=0)


def waiting(node: Node) -> str:
    """What a node says that it waits for."""
    found = _ask(node, "status")
    return json.dumps([found["ffd"]["backlog"], found["ffd"]["blocked"]]) if found else "it does not answer"


def _ask(node: Node, target: str) -> Any:
    try:
        status, found = node.get(f"/api/v1/{target}")
    except OSError:
        return None
    assert status == 200, found
    return found
