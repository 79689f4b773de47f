"""How a subscription is started: by the URL in all its forms, again, out of turn, and beyond what there is room for."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trio

from ffd.api.frames import first_values, start_of_query
from tests.api.rest import Node, open_node
from tests.api.talker import CONFIRMED, Json, Talker, open_talker, subscribe

SCOPED = "/api/v1/namespaces/default/ws"


async def heard_while_saying(node: Node, app: Talker, **header: object) -> Json:
    """The first event that the app hears while the same message is sent again and again."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(say_forever, node, header)
        event = await app.hear()
        nursery.cancel_scope.cancel()
    return event


async def say_forever(node: Node, header: Json) -> None:
    while True:
        await node.broadcast("x", topics=["elsewhere"], tag="other")
        await node.broadcast("x", **header)


AUTHOR = "did:firefly:org/org0"
URLS: dict[str, tuple[dict[str, str], str]] = {
    "filter.topic": ({"filter.topic": "^wanted$"}, "topic"),
    "filter.topics, deprecated": ({"filter.topics": "^wanted$"}, "topic"),
    "the new key wins": ({"filter.topics": "^never$", "filter.topic": "^wanted$"}, "topic"),
    "filter.message.tag": ({"filter.message.tag": "^wanted$"}, "topic"),
    "filter.tag, deprecated": ({"filter.tag": "^wanted$"}, "topic"),
    "filter.message.author": ({"filter.message.author": f"^{AUTHOR}$"}, "message"),
    "filter.author, deprecated": ({"filter.author": f"^{AUTHOR}$"}, "message"),
    "filter.message.group": ({"filter.message.group": "^$"}, ""),
    "filter.group, deprecated": ({"filter.group": "^$"}, ""),
    "filter.transaction.type": ({"filter.transaction.type": "^batch_pin$"}, "transaction"),
    "filter.blockchain.name": ({"filter.blockchain.name": "BatchPin"}, "blockchainEvent"),
    "filter.blockchain.listener": ({"filter.blockchain.listener": "^$"}, ""),
}
"""What the URL says, and what every event that comes then has."""


async def test_every_filter_may_stand_in_the_url(node: Node) -> None:
    for name, (query, there) in URLS.items():
        url = "/ws?" + urlencode({"ephemeral": "", "namespace": "default", "autoack": "true"} | query)
        async with open_talker(node, url) as app:
            event = await heard_while_saying(node, app, topics=["wanted"], tag="wanted")
            assert not there or there in event, name
            if there == "topic":
                assert event["topic"] == "wanted", name


def parsed(query: str) -> Json:
    """The start that a query stands for: its options, and the rest that is not a filter."""
    start = start_of_query(first_values([pair.partition("=")[::2] for pair in query.split("&")]))
    options: Json = json.loads(bytes(start.options))
    return options | {"ephemeral": start.ephemeral, "autoack": start.autoack, "name": start.name}


PLAIN = {"batch": False, "ephemeral": False, "autoack": None, "name": None}
QUERIES: dict[str, Json] = {
    "ephemeral": {"ephemeral": True},
    "ephemeral=": {"ephemeral": True},
    "ephemeral=true&autoack=1": {"ephemeral": True, "autoack": True},
    "ephemeral=false&autoack=false": {},
    "name=a": {"name": "a"},
    "name=a&name=b": {"name": "a"},
    "batch&readahead=50&batchtimeout=200ms": {"batch": True, "readAhead": 50, "batchTimeout": "200ms"},
    "batch=false&readahead=0": {"readAhead": 0},
    "readahead=65535": {"readAhead": 65_535},
    "readahead=0000000007": {"readAhead": 7},
    "readahead=65536": {},
    "readahead=-1": {},
    "readahead=many": {},
    "readahead=": {},
    "readahead=\uff11": {},
    "batchtimeout=500": {"batchTimeout": "500"},
    "changeevents=.*&no=such": {},
}


@pytest.mark.parametrize("query", QUERIES)
def test_what_stands_in_the_url_is_read_as_firefly_reads_it(query: str) -> None:
    assert parsed(query) == PLAIN | QUERIES[query]


async def test_a_batch_subscription_may_be_started_by_the_url(node: Node) -> None:
    url = "/ws?namespace=default&ephemeral&batch&readahead=5&batchtimeout=50ms&filter.events=message_confirmed"
    async with open_talker(node, url) as app:
        batch = await heard_while_saying(node, app)
        assert batch["type"] == "event_batch" and batch["events"][0]["type"] == "message_confirmed"


async def test_what_the_url_lacks_the_path_may_say(node: Node) -> None:
    await subscribe(node, "app1")
    await node.broadcast("one")
    async with open_talker(node, f"{SCOPED}?name=app1") as app:
        assert await app.take() == "one"
    async with open_talker(node, f"{SCOPED}?name=app1&namespace=other") as app:
        assert (await app.hear())["error"].startswith("FF10462: ")


@pytest.mark.parametrize(
    "query", ["namespace=nowhere&ephemeral", "ephemeral&batchtimeout=soon", "name=" + "x" * 40_000]
)
async def test_a_url_that_started_nothing_leaves_autoack_open(node: Node, query: str) -> None:
    async with open_talker(node, f"/ws?{query}") as app:
        assert (await app.hear())["type"] == "protocol_error"
        await app.say("start", namespace="default", ephemeral=True, filter=CONFIRMED, autoack=True)
        assert (await heard_while_saying(node, app))["type"] == "message_confirmed"


async def test_what_is_started_twice_is_served_once(node: Node) -> None:
    await subscribe(node, "app1")
    await node.broadcast("one")
    async with open_talker(node, "/ws?namespace=default&name=app1") as app:
        await app.start("app1")
        await app.start("app1", autoack=False)
        await app.hear_values(1)
        await app.say("ack", id=app.heard[0]["id"])  # without its subscription: only one was started
        await node.broadcast("two")
        assert await app.take() == "two"
        await app.start("app1", autoack=True)
        assert (await app.refused()).startswith("FF10179: ")


async def test_a_subscription_of_webhooks_is_none_for_a_connection_until_it_is_changed(node: Node) -> None:
    body = {"name": "app1", "options": {"firstEvent": "oldest", "withData": True}, "filter": CONFIRMED}
    hook = body | {"transport": "webhooks", "options": body["options"] | {"url": "http://127.0.0.1:1/"}}  # type: ignore[operator]
    assert (await node.send("POST", "subscriptions", hook)).status == 201
    await node.broadcast("one")
    async with open_talker(node) as app:
        await app.start("app1")
        await app.send("two")
        assert (await node.get("status"))["ffd"]["subscriptions"][0]["active"] is False
        assert (await node.send("PUT", "subscriptions", body)).status == 200
        assert await app.take() == "one"


async def test_beyond_the_room_of_the_node_a_start_is_refused_and_room_comes_back(tmp_path: Path) -> None:
    async with open_node(tmp_path, FFD_LIMITS__STARTS_MAX="3") as node, open_talker(node) as first:
        await first.start("a")
        await first.follow()
        async with open_talker(node) as second:
            await second.start("a")  # stands by
            await second.start("b")
            assert (await second.refused()).startswith("FFD5003: ")
        async with open_talker(node) as third:
            await third.start("b")
            await node.broadcast("one")
            assert await first.take() == "one"
            assert (await third.send("two"))["type"] == "accepted"
