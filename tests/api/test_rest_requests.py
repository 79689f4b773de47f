"""Requests that wait for their reply, private messages that are refused, and what a request says of its body."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.api.door import Answer
from tests.api.rest import JSON, Node, open_node

REQUEST = {"header": {"type": "broadcast", "tag": "ask", "topics": ["house"]}, "data": [{"value": "tea?"}]}


async def answer_requests(node: Node, *, tag: str = "ask") -> None:
    """Somebody who answers every request that is heard, as an app would."""
    answered: set[str] = set()
    while True:
        for message in await node.get("messages", tag=tag, state="confirmed"):
            id = message["header"]["id"]
            if id not in answered:
                answered.add(id)
                await node.broadcast("yes", "please", cid=id, tag="reply", confirm=False)
        await trio.sleep(0.01)


async def test_a_request_by_broadcast_is_answered_with_the_first_reply_and_its_values(node: Node) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_requests, node)
        answer = await node.send("POST", "messages/requestreply", REQUEST)
        nursery.cancel_scope.cancel()
    reply = json.loads(answer.body)
    assert answer.status == 200 and [item["value"] for item in reply["data"]] == ["yes", "please"]
    (request,) = await node.get("messages", tag="ask")
    assert reply["header"]["cid"] == request["header"]["id"] and reply["header"]["tag"] == "reply"
    assert reply["state"] == "confirmed"


async def test_requests_at_the_same_time_hear_each_its_own_reply(node: Node) -> None:
    replies: dict[int, Any] = {}

    async def ask(n: int) -> None:
        request = {"header": REQUEST["header"], "data": [{"value": n}]}
        replies[n] = json.loads((await node.send("POST", "messages/requestreply", request)).body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_requests, node)
        async with trio.open_nursery() as asking:
            for n in range(5):
                asking.start_soon(ask, n)
        nursery.cancel_scope.cancel()
    asked = {
        message["header"]["id"]: message["data"][0]["value"] for message in await node.get("messages?tag=ask&fetchdata")
    }
    assert {n: asked[reply["header"]["cid"]] for n, reply in replies.items()} == {n: n for n in range(5)}


async def test_a_request_that_nobody_answers_ends_at_its_deadline(node: Node) -> None:
    answer = await node.send(
        "POST", "messages/requestreply", REQUEST, "Request-Timeout: 300ms", "X-FireFly-Request-ID: q"
    )
    assert (answer.status, answer.code) == (408, "FF10260") and "'q'" in answer.error
    assert len(await node.get("messages", tag="ask")) == 1, "it was sent all the same"


async def test_a_request_is_sent_once_for_its_idempotency_key(node: Node) -> None:
    keyed = REQUEST | {"idempotencyKey": "once"}
    for code in ("FF10260", "FF10430"):
        assert (await node.send("POST", "messages/requestreply", keyed, "Request-Timeout: 200ms")).code == code


SOME_ID = "01a207aa-b2a8-7000-af2d-ea10df7a406e"
NODE0 = "did:firefly:node/node0"
DATA = [{"value": 1}]
PRIVATE: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "a request to nobody": ("requestreply", {"header": {"cid": "x"}}, 400, "FF10271"),
    "a request without a tag": ("requestreply", {"group": {"members": [{}]}, "header": {"cid": "x"}}, 400, "FF10261"),
    "a request without a tag, by broadcast": ("requestreply", {"header": {"type": "Broadcast"}}, 400, "FF10261"),
    "a request that is a reply": (
        "requestreply", {"header": {"tag": "t", "cid": SOME_ID}, "group": {"members": [{}]}}, 400, "FF10262",
    ),
    "nobody": ("private", {}, 400, "FF00115"),
    "no members": ("private", {"group": {"name": "us", "members": []}}, 400, "FF00115"),
    "an author nobody knows": ("private", {"header": {"author": "nobody"}}, 400, "FF10206"),
    "a group nobody knows": ("private", {"header": {"group": "ab" * 32}}, 404, "FF10226"),
    "a group that is none": ("private", {"header": {"group": "ab"}}, 400, "FF00107"),
    "a member nobody knows": ("private", {"group": {"members": [{"identity": "nobody"}]}}, 500, "FF10277"),
    "a node nobody knows": ("private", {"group": {"members": [{"identity": "org0", "node": "node9"}]}}, 400, "FF10224"),
    "a node that is an organisation": (
        "private", {"group": {"members": [{"identity": "org0", "node": "org0"}]}}, 400, "FF10224",
    ),
    "a member without a node": ("private", {"group": {"members": [{"identity": "org1"}]}}, 400, "FF10233"),
    "a member twice": (
        "private", {"group": {"members": [{"identity": "org0"}, {"identity": "org0", "node": NODE0}]}}, 400, "FF00118",
    ),
    "data that is nothing": ("private", {"group": {"members": [{"identity": "org0"}]}, "data": [{}]}, 400, "FF10205"),
    "a node of others": (
        "private", {"group": {"members": [{"identity": "org1", "node": NODE0}]}, "data": DATA}, 400, "FF10422",
    ),
    "the members are no list": ("private", {"group": {"members": 7}}, 400, "FFD2104"),
}  # fmt: skip


async def test_a_private_message_is_checked_as_firefly_does(node: Node) -> None:
    def unit(tx: Any) -> None:
        tx.execute(
            "INSERT INTO identities (namespace, sequence, id, did, type, name, created)"
            " SELECT 1, max(sequence) + 1, ?, 'did:firefly:org/org1', 'org', 'org1', 1 FROM identities",
            (bytes(16),),
        )

    await node.parts.store.write(unit)
    for name, (route, body, status, code) in PRIVATE.items():
        answer = await node.send("POST", f"messages/{route}", body)
        assert (answer.status, answer.code) == (status, code), (name, answer.body)
    assert await node.get("messages") == []


BODIES: dict[str, tuple[str, bytes, int, str]] = {
    "no type": ("", b"{}", 415, "FF00162"),
    "another type": ("Content-Type: application/xml", b"<x/>", 415, "FF00162"),
    "a form without JSON": ("Content-Type: application/x-www-form-urlencoded", b"a=1", 415, "FF00162"),
    "a plain text": ("Content-Type: text/plain; charset=utf-8", b"{}", 415, "FF00162"),
    "an empty form": ("Content-Type: application/x-www-form-urlencoded", b"", 400, "FFD2101"),
    "nothing in JSON": (JSON, b"", 400, "FFD2101"),
    "JSON of another charset": ("Content-Type: application/json; charset=latin-1", b'{"data":[{}]}', 400, "FF10205"),
}


@pytest.mark.parametrize("header, body, status, code", BODIES.values(), ids=BODIES)
async def test_what_a_body_says_it_is_counts(tmp_path: Path, header: str, body: bytes, status: int, code: str) -> None:
    async with open_node(tmp_path, roles=("sequencer",)) as node:
        answer: Answer = await node.ask("POST", "messages/broadcast", *([header] if header else []), body=body)
        assert (answer.status, answer.code) == (status, code), answer.body
        assert await node.get("messages") == []


async def test_an_answer_says_what_its_request_was_called(node: Node) -> None:
    named = await node.ask("GET", "messages", "X-FireFly-Request-ID: mine-7")
    assert named.headers["x-firefly-request-id"] == "mine-7"
    refused = await node.ask("GET", "nosuch", "X-FireFly-Request-ID: mine-8")
    assert (refused.status, refused.headers["x-firefly-request-id"]) == (404, "mine-8")
    for unfit in ("", "X-FireFly-Request-ID: " + "x" * 1000):
        given = (await node.ask("GET", "messages", *([unfit] if unfit else []))).headers["x-firefly-request-id"]
        assert len(given) == 36, "one of ours"
