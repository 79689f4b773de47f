"""FireFly's WebSocket protocol (reference 9) at a real node, over a real socket."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.api.rest import Node, open_node
from tests.api.talker import CONFIRMED, Json, Talker, open_talker, subscribe

NOBODY = "00000000-0000-4000-8000-000000000000"
EPHEMERAL = {"namespace": "default", "ephemeral": True}
SCOPED = "/api/v1/namespaces/default/ws"


# Starting ---------------------------------------------------------------------------------------------------------


async def test_a_subscription_may_be_started_before_it_exists(node: Node) -> None:
    async with open_talker(node) as app:
        await app.start("app1")
        await node.broadcast("one")
        subscription = await subscribe(node, "app1")
        assert await app.take() == "one"
        assert app.heard[0]["subscription"] == {"id": subscription["id"], "namespace": "default", "name": "app1"}
        await node.broadcast("two")
        assert await app.take() == "two"


async def test_an_ephemeral_subscription_hears_from_where_it_says(node: Node) -> None:
    for value in ("one", "two", "three"):
        await node.broadcast(value)
    events = await node.get("events", sort="sequence", type="message_confirmed")
    async with open_talker(node) as app:
        await app.follow(firstEvent=str(events[0]["sequence"]), readAhead=5)
        assert await app.hear_values(2) == ["two", "three"]
        ref = app.heard[0]["subscription"]
        assert ref["name"] == ref["id"] and ref["namespace"] == "default"


@pytest.mark.parametrize(
    "first, heard", [("oldest", ["one", "two", "new"]), ("0", ["two", "new"]), ("newest", ["new"])]
)
async def test_a_durable_subscription_begins_where_it_says(node: Node, first: str, heard: list[str]) -> None:
    for value in ("one", "two"):
        await node.broadcast(value)
    if first.isdigit():
        (event, _) = await node.get("events", sort="sequence", type="message_confirmed")
        first = str(event["sequence"])
    subscription = await subscribe(node, "app1", firstEvent=first)
    assert subscription["options"]["firstEvent"].lstrip("-").isdigit(), "a number from now on"
    await node.broadcast("new")
    async with open_talker(node) as app:
        await app.start("app1")
        assert [await app.take() for _ in heard] == heard


async def test_an_ephemeral_subscription_hears_what_is_new_unless_told_otherwise(node: Node) -> None:
    await node.broadcast("old")
    async with open_talker(node) as app:
        await app.say("start", **EPHEMERAL, filter=CONFIRMED, options={"withData": True})
        assert await say_until_heard(node, app) == "new"


async def say_until_heard(node: Node, app: Talker, **header: Any) -> object:
    """Broadcast the same again and again, until the app hears its first event; the value in it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(say_forever, node, header)
        event = await app.hear()
        nursery.cancel_scope.cancel()
    data = event["message"]["data"][0]
    return data["value"] if "value" in data else (await node.get(f"data/{data['id']}"))["value"]


async def say_forever(node: Node, header: Json) -> None:
    while True:
        await node.broadcast("new", **header)


@pytest.mark.parametrize(
    "target",
    [
        "/ws?ephemeral&namespace=default&filter.events=message_confirmed&filter.topic=^b$",
        "/ws?ephemeral=true&namespace=default&filter.events=^message_confirmed&filter.topics=^b$&readahead=x&other=1",
        f"{SCOPED}?ephemeral=&filter.events=message_c&filter.topic=b",
    ],
)
async def test_an_ephemeral_subscription_may_be_started_by_the_url(node: Node, target: str) -> None:
    await node.broadcast("old", topics=["b"])
    await node.broadcast("elsewhere", topics=["a"])
    async with open_talker(node, target.replace("^", "%5E").replace("$", "%24")) as app:
        assert await say_until_heard(node, app, topics=["b"]) == "new"
        assert "value" not in app.heard[0]["message"]["data"][0], "data comes to those who ask for it"
        await app.say("ack")


async def test_a_durable_subscription_may_be_started_by_the_url(node: Node) -> None:
    await subscribe(node, "app1", readAhead=0)
    await node.broadcast("one")
    await node.broadcast("two")
    async with open_talker(node, "/ws?namespace=default&name=app1&autoack") as app:
        assert await app.hear_values(2) == ["one", "two"]


async def test_a_flag_in_the_url_can_be_false(node: Node) -> None:
    async with open_talker(node, "/ws?ephemeral=false&autoack=false&namespace=default") as app:
        await app.follow()
        await node.broadcast("one")
        assert await app.take() == "one"


@pytest.mark.parametrize(
    "query, code",
    [
        ("ephemeral", "FF10178"),
        ("name=app1", "FF10178"),
        ("namespace=nowhere&name=app1", "FF10187"),
        ("namespace=nowhere&ephemeral", "FF10187"),
        ("namespace=default&ephemeral&filter.topic=(", "FF10171"),
    ],
)
async def test_an_error_in_the_url_is_told_and_ends_nothing(node: Node, query: str, code: str) -> None:
    async with open_talker(node, f"/ws?{query}") as app:
        error = await app.hear()
        assert error["type"] == "protocol_error" and error["error"].startswith(f"{code}: "), "without a wrapper"
        await app.follow()
        await node.broadcast("one")
        assert await app.take() == "one"


async def test_a_scoped_url_fixes_the_namespace(node: Node) -> None:
    await subscribe(node, "app1")
    await node.broadcast("one")
    async with open_talker(node, SCOPED) as app:
        await app.say("start", name="app1")
        assert await app.take() == "one"
        await app.say("start", namespace="default", ephemeral=True, options={"firstEvent": "oldest"})
        assert (await app.hear())["type"] == "transaction_submitted"


async def test_every_namespace_may_be_heard_in_one_sequence(tmp_path: Path) -> None:
    both = {"FFD_NAMESPACES__DEFAULT__DESCRIPTION": "one", "FFD_NAMESPACES__OTHER__DESCRIPTION": "another"}
    async with open_node(tmp_path, roles=(), **both) as node:
        await node.broadcast("here")
        answer = await node.send("POST", "namespaces/other/messages/broadcast?confirm", {"data": [{"value": "there"}]})
        assert answer.status == 200, answer.body
        async with open_talker(node) as app:
            options = {"firstEvent": "oldest", "withData": True, "readAhead": 5}
            await app.say("start", namespace="*", ephemeral=True, filter=CONFIRMED, options=options)
            assert await app.hear_values(2) == ["here", "there"]
            assert [event["namespace"] for event in app.heard] == ["default", "other"]
            await app.say("start", namespace="other", ephemeral=True, filter=CONFIRMED, options=options)
            assert await app.hear_values(1) == ["there"]


async def test_several_subscriptions_share_a_connection(node: Node) -> None:
    for name in ("app1", "app2"):
        await subscribe(node, name)
    async with open_talker(node) as app:
        for name in ("app1", "app2"):
            await app.start(name)
        for value in ("one", "two"):
            await node.broadcast(value)
        first = {(await app.hear())["subscription"]["name"] for _ in range(2)}
        assert first == {"app1", "app2"}
        one, other = app.heard
        await app.say("ack", id=one["id"], subscription={"id": one["subscription"]["id"]})
        assert (await app.hear())["subscription"] == one["subscription"], "the other one waits for its own ack"
        names = {"namespace": "default", "name": other["subscription"]["name"]}
        await app.say("ack", id=other["id"], subscription=names)
        assert (await app.hear())["subscription"] == other["subscription"]


async def test_two_connections_for_one_subscription_take_turns(node: Node) -> None:
    await subscribe(node, "app1")
    await node.broadcast("one")
    async with open_talker(node) as standby:
        async with open_talker(node) as served:
            await served.start("app1")
            assert await served.hear_values(1) == ["one"]
            await standby.start("app1")
        assert await standby.take() == "one"
        assert standby.heard[0]["id"] == served.heard[0]["id"]


# Acknowledging ----------------------------------------------------------------------------------------------------


async def test_what_was_acknowledged_does_not_come_again(node: Node) -> None:
    await subscribe(node, "app1", readAhead=1)
    for value in ("one", "two", "three"):
        await node.broadcast(value)
    async with open_talker(node) as app:
        await app.start("app1")
        assert await app.hear_values(2) == ["one", "two"]
        await app.ack(app.heard[0])
        assert await app.hear_values(1) == ["three"]
    async with open_talker(node) as app:
        await app.start("app1")
        assert await app.hear_values(2) == ["two", "three"]


@pytest.mark.parametrize("form", ["id", "id and subscription", "nothing"])
async def test_an_ack_may_take_any_of_its_forms(node: Node, form: str) -> None:
    async with open_talker(node) as app:
        await app.follow()
        for value in range(3):
            await node.broadcast(value)
            assert await app.hear_values(1) == [value]
            event = app.heard[-1]
            fields = {"id": {"id": event["id"]}, "nothing": {}}
            await app.say("ack", **fields.get(form, {"id": event["id"], "subscription": event["subscription"]}))


async def test_without_an_id_the_oldest_is_acknowledged(node: Node) -> None:
    for value in range(4):
        await node.broadcast(value)
    await subscribe(node, "app1", readAhead=1)
    async with open_talker(node) as app:
        await app.start("app1")
        await app.hear_values(2)
        await app.say("ack")
        assert await app.hear_values(1) == [2]
        await app.say("ack")
        assert await app.hear_values(1) == [3]
    events = await node.get("events", sort="sequence", type="message_confirmed")
    status = await node.until("status", lambda found: found["ffd"]["subscriptions"][0]["inFlight"] == 0)
    assert events[1]["sequence"] <= status["ffd"]["subscriptions"][0]["offset"] < events[2]["sequence"]


async def test_with_autoack_events_come_without_a_word(node: Node) -> None:
    await subscribe(node, "app1")
    for value in range(3):
        await node.broadcast(value)
    async with open_talker(node) as app:
        await app.start("app1", autoack=True)
        assert await app.hear_values(3) == [0, 1, 2]
    await node.broadcast(3)
    async with open_talker(node) as app:
        await app.start("app1", autoack=True)
        assert await app.hear_values(1) == [3]


async def test_events_come_in_batches_when_asked_for(node: Node) -> None:
    for value in range(5):
        await node.broadcast(value)
    subscription = await subscribe(node, "app1", batch=True, readAhead=3)
    async with open_talker(node) as app:
        await app.start("app1")
        await app.follow(batch=True, readAhead=5)
        batches: list[Json] = [await app.hear(), await app.hear()]
        batches.sort(key=lambda batch: len(batch["events"]))
        mine, all_ = batches
        assert mine["type"] == "event_batch" and list(mine) == ["type", "id", "subscription", "events"]
        assert mine["subscription"] == {"id": subscription["id"], "namespace": "default", "name": "app1"}
        assert values(mine) == [0, 1, 2] and values(all_) == [0, 1, 2, 3, 4]
        assert all(event["subscription"] == mine["subscription"] for event in mine["events"])
        await app.say("ack", id=mine["id"])
        rest = await app.hear()
        assert values(rest) == [3, 4] and rest["id"] != mine["id"]


def values(batch: Json) -> list[object]:
    """The values in the events of a batch."""
    return [event["message"]["data"][0]["value"] for event in batch["events"]]


async def test_a_batch_that_was_not_acknowledged_comes_again_under_another_name(node: Node) -> None:
    for value in range(3):
        await node.broadcast(value)
    await subscribe(node, "app1", batch=True, readAhead=9)
    seen: list[Json] = []
    for _ in range(2):
        async with open_talker(node) as app:
            await app.start("app1")
            seen.append(await app.hear())
    assert seen[0]["id"] != seen[1]["id"] and seen[0]["events"] == seen[1]["events"]


@pytest.mark.parametrize("batch", [False, True])
async def test_what_is_nacked_comes_again_with_all_that_follows(node: Node, batch: bool) -> None:
    for value in range(3):
        await node.broadcast(value)
    await subscribe(node, "app1", batch=batch, readAhead=3)
    async with open_talker(node) as app:
        await app.start("app1")
        if batch:
            (first,) = [await app.hear()]
            await app.say("nack", id=first["id"])
            again = await app.hear()
            assert again["id"] != first["id"] and again["events"] == first["events"]
            await app.ack(first)  # too late, and no error
            await app.ack(again)
        else:
            assert await app.hear_values(3) == [0, 1, 2]
            await app.say("nack", id=app.heard[1]["id"], subscription=app.heard[1]["subscription"])
            await app.ack(app.heard[2])
            await app.ack(app.heard[0])
            assert await app.hear_values(2) == [1, 2]
            assert app.heard[3:] == app.heard[1:3], "to the last byte"
            for event in app.heard[3:]:
                await app.ack(event)
        await node.broadcast("last")
        heard = await app.hear()
        assert values(heard) == ["last"] if batch else heard["message"]["data"][0]["value"] == "last"


# What is refused ---------------------------------------------------------------------------------------------------


def start(**fields: Any) -> str:
    return json.dumps({"type": "start"} | fields)


def ack(**fields: Any) -> str:
    return json.dumps({"type": "ack"} | fields)


REFUSED: dict[str, tuple[str, list[str]]] = {
    "no JSON": ("FFD2101", ["{"]),
    "a list": ("FFD2104", ["[]"]),
    "an empty frame": ("FFD2101", [""]),
    "no type": ("FF10177", ["{}"]),
    "a type that is no text": ("FFD2104", ['{"type":7}']),
    "an unknown type": ("FF10177", ['{"type":"stop"}']),
    "a start without a namespace": ("FF10178", [start(name="app1")]),
    "a start without a name": ("FF10178", [start(namespace="default")]),
    "a start that is not ephemeral": ("FF10178", [start(namespace="default", ephemeral=False)]),
    "an unknown namespace": ("FF10187", [start(namespace="nowhere", name="app1")]),
    "an unknown namespace, ephemeral": ("FF10187", [start(namespace="nowhere", ephemeral=True)]),
    "autoack switched on": ("FF10179", [start(**EPHEMERAL), start(namespace="default", name="a", autoack=True)]),
    "autoack switched off": (
        "FF10179", [start(**EPHEMERAL, autoack=True), start(namespace="default", name="a", autoack=False)]
    ),
    "a bad filter": ("FF10171", [start(**EPHEMERAL, filter={"topic": "("})]),
    "a bad first event": ("FF10191", [start(**EPHEMERAL, options={"firstEvent": "soon"})]),
    "a first event below all": ("FF10192", [start(**EPHEMERAL, options={"firstEvent": "-2"})]),
    "a bad batch timeout": ("FF00137", [start(**EPHEMERAL, options={"batchTimeout": "soon"})]),
    "a read-ahead beyond all": ("FFD2104", [start(**EPHEMERAL, options={"readAhead": 65_536})]),
    "an ack while nothing was started": ("FF10175", [ack(id=NOBODY)]),
    "an ack without an id while nothing was sent": ("FF10175", [ack()]),
    "an ack for an event never sent": ("FF10175", [start(namespace="default", name="a"), ack(id=NOBODY)]),
    "an ack of a subscription never started": (
        "FF10175", [start(namespace="default", name="a"), ack(id=NOBODY, subscription={"name": "b"})]
    ),
    "a nack for an event never sent": (
        "FF10175", [start(namespace="default", name="a"), json.dumps({"type": "nack", "id": NOBODY})]
    ),
    "an ack with autoack": ("FF10180", [start(namespace="default", name="a", autoack=True), ack(id=NOBODY)]),
}  # fmt: skip


async def test_what_is_refused_is_told_and_ends_the_connection(node: Node) -> None:
    for name, (code, frames) in REFUSED.items():
        async with open_talker(node) as app:
            for frame in frames:
                await app.say_raw(frame)
            assert (await app.refused()).startswith(f"{code}: "), name


async def test_another_namespace_than_that_of_the_url_is_refused(node: Node) -> None:
    for frame in ({"name": "app1"}, {"ephemeral": True}):
        async with open_talker(node, SCOPED) as app:
            await app.say("start", namespace="other", **frame)
            assert (await app.refused()).startswith("FF10462: ")


async def test_more_subscriptions_than_a_connection_may_have_are_refused(tmp_path: Path) -> None:
    async with open_node(tmp_path, FFD_LIMITS__SUBSCRIPTIONS_MAX="3") as node, open_talker(node) as app:
        for number in range(4):
            await app.start(f"app{number}")
        assert (await app.refused()).startswith("FFD2402: ")


async def test_an_id_alone_is_not_enough_beside_another_subscription(node: Node) -> None:
    await node.broadcast("one")
    async with open_talker(node) as app:
        await app.follow()
        await app.start("app2")
        await app.hear_values(1)
        await app.say("ack", id=app.heard[0]["id"])
        assert (await app.refused()).startswith("FF10175: ")


async def test_an_event_can_be_acknowledged_once(node: Node) -> None:
    await node.broadcast("one")
    await subscribe(node, "app1")
    async with open_talker(node) as app:
        await app.start("app1")
        await app.take()
        await app.ack(app.heard[0])
        assert (await app.refused()).startswith("FF10175: ")


async def test_what_is_not_utf_8_is_refused(node: Node) -> None:
    async with open_talker(node) as app:
        await app.say_raw(b'{"type":"\xff"}')
        assert (await app.refused()).startswith("FFD2102: ")


async def test_a_frame_beyond_the_limit_is_closed_with_1009(tmp_path: Path) -> None:
    limits = {"FFD_LIMITS__REQUEST_BYTES_MAX": "1Mb", "FFD_LIMITS__MESSAGE_BYTES_MAX": "100Kb"}
    async with open_node(tmp_path, roles=(), **limits) as node, open_talker(node) as app:
        await app.say_raw(json.dumps({"type": "send", "messages": ["x" * (1 << 20)]}))
        assert await app.ended() == 1009
