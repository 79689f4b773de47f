"""Subscriptions that span all namespaces of a node, and the events of all, by REST and WebSocket."""

import json
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.api.rest import Node, open_node
from tests.api.talker import open_talker

EVERYWHERE = "namespaces/*/"
BOTH: dict[str, Any] = {"FFD_NAMESPACES__DEFAULT__DESCRIPTION": "one", "FFD_NAMESPACES__OTHER__DESCRIPTION": "another"}
TEA = {"events": "message_confirmed", "topic": "^tea$"}
OPTIONS = {"firstEvent": "oldest", "readAhead": 1, "withData": True}
ORDER = ["default", "other", "other", "default"]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Node, None]:
    """A node with two namespaces."""
    async with open_node(tmp_path, **BOTH) as node:
        yield node


async def broadcast(node: Node, namespace: str, value: object, topic: str = "tea") -> None:
    message = {"header": {"topics": [topic]}, "data": [{"value": value}]}
    answer = await node.send("POST", f"namespaces/{namespace}/messages/broadcast?confirm", message)
    assert answer.status == 200, answer.body


async def talk(node: Node) -> None:
    for number, name in enumerate(ORDER):
        await broadcast(node, name, number)
        await broadcast(node, name, "not asked for", "coffee")


def has_reached(sequence: int, shown: Any) -> bool:
    return bool(shown["status"]["currentOffset"] >= sequence)


async def create(node: Node) -> Any:
    answer = await node.send("POST", f"{EVERYWHERE}subscriptions", {"name": "all", "filter": TEA, "options": OPTIONS})
    assert answer.status == 201, answer.body
    return json.loads(answer.body)


async def test_it_is_made_found_changed_and_deleted_under_the_name_of_all(node: Node) -> None:
    made = await create(node)
    assert made["namespace"] == "*" and made["options"]["firstEvent"] == "-1"
    again = await node.send("POST", f"{EVERYWHERE}subscriptions", {"name": "all"})
    assert (again.status, again.code) == (409, "FF10193")
    assert await node.get(f"{EVERYWHERE}subscriptions") == [made]
    assert await node.get("subscriptions") == await node.get("namespaces/other/subscriptions") == []
    assert (await node.ask("GET", f"subscriptions/{made['id']}")).status == 404, "it is in no namespace"
    own = await node.send("POST", "subscriptions", {"name": "all"})
    assert own.status == 201, "a namespace may have one of the same name"
    changed = await node.send("PUT", f"{EVERYWHERE}subscriptions", {"name": "all", "filter": {"topic": "coffee"}})
    assert json.loads(changed.body)["id"] == made["id"]
    assert (await node.ask("DELETE", f"{EVERYWHERE}subscriptions/all")).status == 204
    assert await node.get(f"{EVERYWHERE}subscriptions") == []
    assert len(await node.get("subscriptions")) == 1


async def test_newest_is_the_newest_of_all(node: Node) -> None:
    await talk(node)
    answer = await node.send("POST", f"{EVERYWHERE}subscriptions", {"name": "late"})
    newest = (await node.get(f"{EVERYWHERE}events", limit=1))[0]["sequence"]
    assert json.loads(answer.body)["options"]["firstEvent"] == str(newest)


@pytest.mark.parametrize("target", ["/ws", "/api/v1/namespaces/*/ws"])
async def test_it_hears_every_namespace_in_the_order_of_the_node_and_goes_on_where_it_stopped(
    node: Node, target: str
) -> None:
    made = await create(node)
    await talk(node)
    heard: list[Any] = []
    for _ in range(2):
        async with open_talker(node, target) as app:
            await app.say("start", name="all", **({"namespace": "*"} if target == "/ws" else {}))
            for _ in range(2):
                event = await app.hear()
                ref = {"id": made["id"], "namespace": "*", "name": "all"}
                assert event["subscription"] == ref
                await app.say("ack", id=event["id"], subscription={"namespace": "*", "name": "all"})
                heard.append(event)
            await node.until(f"{EVERYWHERE}subscriptions/all?fetchstatus", partial(has_reached, heard[-1]["sequence"]))
    assert [event["namespace"] for event in heard] == ORDER
    assert [event["message"]["data"][0]["value"] for event in heard] == [0, 1, 2, 3]
    sequences = [event["sequence"] for event in heard]
    assert sequences == sorted(sequences)
    status = (await node.get(f"{EVERYWHERE}subscriptions/all?fetchstatus"))["status"]
    newest = (await node.get(f"{EVERYWHERE}events", limit=1))[0]["sequence"]
    assert status["lag"] == newest - status["currentOffset"]


async def test_a_connection_of_one_namespace_starts_nothing_that_spans_others(node: Node) -> None:
    await create(node)
    for fields in ({"name": "all"}, {"ephemeral": True}):
        async with open_talker(node, "/api/v1/namespaces/other/ws") as app:
            await app.say("start", namespace="*", **fields)
            assert "FF10462" in (await app.hear())["error"]


async def test_the_past_of_all_namespaces_can_be_searched(node: Node) -> None:
    await create(node)
    await talk(node)
    past = await node.get(f"{EVERYWHERE}subscriptions/all/events", sort="sequence")
    assert [event["namespace"] for event in past["items"]] == ORDER
    found = await node.get(f"{EVERYWHERE}events", topic="tea", sort="sequence", count=True, limit=3)
    assert [event["namespace"] for event in found["items"]] == ORDER[:3] and found["total"] == 4
    inside = await node.get(f"{EVERYWHERE}events", topic="tea", sort="sequence", fetchreferences=True)
    assert [event["message"]["localNamespace"] for event in inside] == ORDER
    one = await node.get(f"{EVERYWHERE}events/{found['items'][1]['id']}")
    assert one == found["items"][1]
    every = [event["sequence"] for event in await node.get(f"{EVERYWHERE}events", sort="sequence", limit=0)]
    assert every == list(range(1, len(every) + 1)), "one order, without a gap"


async def test_what_cannot_be_of_all_namespaces_says_so(node: Node) -> None:
    for method, path in (("GET", "messages"), ("GET", "status"), ("POST", "messages/broadcast")):
        answer = await node.send(method, EVERYWHERE + path, {"data": [{"value": 1}]})
        assert (answer.status, answer.code) == (400, "FFD2120")
    async with open_talker(node, "/api/v1/namespaces/*/ws") as app:
        await app.say("send", id="1", messages=[{"data": [{"value": 1}]}])
        assert "FF10187" in (await app.hear())["error"]
