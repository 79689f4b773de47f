"""`ffctl send`, `ffctl request` and `ffctl group`: what is said to whom, as the daemon is told it."""

import json
from typing import Any

import pytest

from tests.ffctl.conftest import Ffctl
from tests.ffctl.standin import Node, uid

HASH = "ab" * 32


@pytest.fixture
def board(node: Node) -> Node:
    """A node that knows a group called board, and two that share a name."""
    for number, name in enumerate(("board", "twin", "twin")):
        members = [{"identity": f"did:firefly:org/org{each}", "node": uid(each)} for each in (1, 2)]
        created = f"2026-03-01T12:00:0{number}Z"
        node.rows["groups"].append({
            "namespace": "default", "name": name, "members": members, "hash": f"{number:064x}", "created": created,
        })  # fmt: skip
    return node


def sent(node: Node) -> list[dict[str, Any]]:
    return [body for path, body in node.posted if path == "messages/private"]


def test_the_members_of_the_command_line_are_the_group(node: Node, here: Ffctl) -> None:
    dids = ("--to", "org2", "--to", "did:firefly:org/org3@did:firefly:node/n3")
    assert here("send", *dids, "--name", "board", "-t", "deals", "--author", "did:firefly:me", "hello").code == 0
    assert here("send", "--to", "org2", "--unpinned", "--json", "[1]").code == 0
    assert sent(node) == [
        {
            "header": {"topics": ["deals"], "author": "did:firefly:me"},
            "data": [{"value": "hello"}],
            "group": {
                "name": "board",
                "members": [{"identity": "org2"}, {"identity": "did:firefly:org/org3", "node": "did:firefly:node/n3"}],
            },
        },
        {"header": {"txtype": "unpinned"}, "data": [{"value": [1]}], "group": {"members": [{"identity": "org2"}]}},
    ]


def test_a_group_is_named_by_its_hash_or_its_name(board: Node, here: Ffctl) -> None:
    assert here("send", "--group", HASH, "x").code == 0
    assert here("send", "--group", f"0x{HASH.upper()}", "x").code == 0
    assert here("send", "--group", "board", "--cid", uid(7), "yes").code == 0
    assert [body["header"] for body in sent(board)] == [
        {"group": HASH},
        {"group": HASH},
        {"cid": uid(7), "group": "0" * 64},
    ]
    unknown, doubtful = here("send", "--group", "nobody", "x"), here("send", "--group", "twin", "x")
    assert unknown.code == 3 and "ffctl group list" in unknown.err
    assert doubtful.code == 2 and "several groups are called 'twin'" in doubtful.err
    assert len(sent(board)) == 3


REFUSED: dict[str, tuple[list[str], str]] = {
    "nobody": (["send", "x"], "nobody is to have it"),
    "both ways": (["send", "--to", "a", "--group", HASH, "x"], "exclude one another"),
    "an empty member": (["send", "--to", "", "x"], "is nobody"),
    "an empty node": (["send", "--to", "a@", "x"], "is nobody"),
    "a name for a group that has one": (["send", "--group", HASH, "--name", "b", "x"], "--name goes with --to"),
    "an empty message": (["send", "--to", "a", ""], "the message is empty"),
    "nothing to send": (["send", "--to", "a"], "there is nothing to send"),
    "an empty key": (["send", "--to", "a", "--idempotency-key", "", "x"], "--idempotency-key is empty"),
    "a request to nobody": (["request", "--tag", "t", "x"], "nobody is to have it"),
    "a request to some and to all": (["request", "--tag", "t", "--everybody", "--to", "a", "x"], "goes with none of"),
    "a request without a tag": (["request", "--to", "a", "x"], "--tag"),
}


@pytest.mark.parametrize(("words", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(
    words: list[str], why: str, node: Node, ffctl: Ffctl
) -> None:
    done = ffctl(*words)
    assert done.code == 2 and why in done.err and node.posted == []


def test_each_line_goes_to_the_members(node: Node, ffctl: Ffctl) -> None:
    done = ffctl("send", "--lines", "--to", "org2", "-t", "n", "--confirm", stdin="one\ntwo\n")
    assert done.code == 0 and "2 confirmed" in done.err
    streamed = [body for path, body in node.posted if path == "send"]
    assert [body["group"] for body in streamed] == [{"members": [{"identity": "org2"}]}] * 2
    lines = '{"value":1}\n{"tag":"y","value":2}\n'
    assert ffctl("send", "--ndjson", "--group", HASH, "--tag", "x", stdin=lines).code == 0
    tagged = [body["header"] for path, body in node.posted if path == "send"][2:]
    assert tagged == [{"tag": "x", "group": HASH}, {"tag": "y", "group": HASH}]


def test_a_request_prints_its_reply(node: Node, here: Ffctl) -> None:
    node.reply = {"header": {"id": uid(9), "cid": uid(1), "topics": ["t"]}, "data": [{"value": {"price": 12.50}}]}
    done = here("request", "--to", "org2", "--tag", "price", "--json", '{"item":7}', "--format", "{value}")
    assert done.out == '{"price":12.5}\n'
    assert here("request", "--everybody", "--tag", "price", "-o", "id", "x").lines == [uid(9)]
    private, broadcast = (body for path, body in node.posted if path == "messages/requestreply")
    assert private["group"]["members"] == [{"identity": "org2"}] and private["header"] == {"tag": "price"}
    assert broadcast["header"] == {"tag": "price", "type": "broadcast"} and "group" not in broadcast


def test_a_reply_that_does_not_come_in_time_may_still_come(node: Node, ffctl: Ffctl) -> None:
    done = ffctl("request", "--to", "org2", "--tag", "price", "--timeout", "2s", "x")
    assert done.code == 6 and done.out == "" and "timed out" in done.err and uid(1) in done.err


def test_groups_are_shown_with_their_members(board: Node, here: Ffctl) -> None:
    assert here("group", "list", "-o", "id").lines == ["0" * 64, f"{1:064x}", f"{2:064x}"]
    row = here("group", "list").lines[0].split("\t")
    assert row[1:] == ["board", "0" * 64, "org/org1,org/org2"]
    shown = json.loads(here("group", "show", "board", "-o", "json").out)
    assert shown == board.rows["groups"][0] == json.loads(here("group", "show", "0" * 64, "-o", "json").out)
    assert here("group", "show", HASH).code == 3


def test_live_names_stand_for_members_and_groups(board: Node, ffctl: Ffctl) -> None:
    board.rows["identities"] += [
        {"type": "org", "name": "org2", "did": "did:firefly:org/org2"},
        {"type": "node", "name": "node2", "did": "did:firefly:node/node2"},
    ]
    assert ffctl("send", "--to", "", _FFCTL_COMPLETE="bash").lines == ["org2"]
    assert ffctl("send", "--group", "bo", _FFCTL_COMPLETE="bash").lines == ["board"]
    assert ffctl("broadcast", "--author", "did:firefly:n", _FFCTL_COMPLETE="bash").lines == ["did:firefly:node/node2"]
    assert ffctl("identity", "list", "--type", "", _FFCTL_COMPLETE="bash").lines == ["org", "node", "custom"]
