"""Events and subscriptions over the REST API."""

import json
from pathlib import Path
from typing import Any

import trio
from trio_websocket import wrap_client_stream

from tests.api.rest import Node, open_node

UNKNOWN = "4ea27cce-a103-4187-b318-f7b20fd87bf3"


async def test_an_event_is_found_with_what_it_speaks_of(node: Node) -> None:
    message = await node.broadcast("hello", topics=["t"], tag="x")
    (event,) = await node.get("events", type="message_confirmed", topic="t")
    assert event["reference"] == message["header"]["id"] and "message" not in event
    assert list(event) == ["id", "sequence", "type", "namespace", "reference", "tx", "topic", "created"]
    assert await node.get(f"events/{event['id']}") == event
    for fetch in ("fetchreference", "fetchreferences"):
        assert (await node.get(f"events/{event['id']}", **{fetch: "true"}))["message"] == message
    (listed,) = await node.get("events", type="message_confirmed", fetchreferences="")
    assert listed == event | {"message": message}


async def test_events_lead_to_transactions_and_ledger_events(node: Node) -> None:
    message = await node.broadcast("hello")
    submitted, received, _ = await node.get("events", fetchreferences="true", sort="sequence")
    assert submitted["transaction"]["id"] == received["blockchainEvent"]["tx"]["id"] == message["txid"]
    assert [event["sequence"] for event in await node.get("events")] == [3, 2, 1]


async def test_a_subscription_is_made_shown_changed_and_deleted(node: Node) -> None:
    await node.broadcast("before")
    answer = await node.send("POST", "subscriptions", {"name": "app", "filter": {"topic": "^t"}})
    made = json.loads(answer.body)
    assert answer.status == 201
    assert answer.body.decode() == (
        f'{{"id":"{made["id"]}","namespace":"default","name":"app","transport":"websockets","filter":'
        f'{{"message":{{}},"transaction":{{}},"blockchainevent":{{}},"topic":"^t"}},"options":{{"firstEvent":"3"}},'
        f'"created":"{made["created"]}","updated":null}}\n'
    )
    assert await node.get(f"subscriptions/{made['id']}") == made
    changed = await node.send("PUT", "subscriptions", {"name": "app", "options": {"readAhead": 5, "own": [1]}})
    now = json.loads(changed.body)
    assert (changed.status, now["id"], now["created"]) == (200, made["id"], made["created"])
    assert now["updated"] and now["options"] == {"firstEvent": "3", "own": [1], "readAhead": 5}
    assert await node.get("subscriptions") == [now]
    gone = await node.ask("DELETE", f"subscriptions/{made['id']}")
    assert (gone.status, gone.body) == (204, b"")
    assert (await node.ask("GET", f"subscriptions/{made['id']}")).code == "FF10109"
    assert (await node.ask("DELETE", f"subscriptions/{made['id']}")).status == 404


async def test_a_subscription_is_found_and_deleted_by_its_name_too(node: Node) -> None:
    made = json.loads((await node.send("PUT", "subscriptions", {"name": "by-name"})).body)
    assert await node.get("subscriptions/by-name") == made
    assert (await node.ask("DELETE", "subscriptions/by-name")).status == 204
    assert (await node.ask("DELETE", "subscriptions/by-name")).code == "FF10109"


async def test_the_same_definition_again_changes_nothing(node: Node) -> None:
    first = await node.send("PUT", "subscriptions", {"name": "app", "options": {"withData": True}})
    again = await node.send("PUT", "subscriptions", {"name": "app", "options": {"withData": True}})
    assert (again.status, again.body) == (200, first.body)


async def test_a_name_is_taken_once(node: Node) -> None:
    await node.send("POST", "subscriptions", {"name": "app"})
    again = await node.send("POST", "subscriptions", {"name": "app"})
    assert (again.status, again.code) == (409, "FF10193")


BAD_SUBSCRIPTIONS: dict[str, tuple[Any, str]] = {
    "no name": ({}, "FF00140"),
    "a bad name": ({"name": "-a"}, "FF00140"),
    "a name that is an id": ({"name": UNKNOWN}, "FF00141"),
    "an unknown transport": ({"name": "a", "transport": "pigeon"}, "FF10172"),
    "the transport of the node": ({"name": "a", "transport": "system"}, "FF10266"),
    "a first event that is none": ({"name": "a", "options": {"firstEvent": "soon"}}, "FF10191"),
    "a first event too low": ({"name": "a", "options": {"firstEvent": "-2"}}, "FF10192"),
    "a duration that is none": ({"name": "a", "options": {"batchTimeout": "soon"}}, "FF00137"),
    "an expression that is none": ({"name": "a", "filter": {"events": "("}}, "FF10171"),
    "an expression only Python knows": ({"name": "a", "filter": {"topic": r"(a)\1"}}, "FF10171"),
    "a filter of another type": ({"name": "a", "filter": [1]}, "FFD2104"),
    "more in flight than can be": ({"name": "a", "options": {"readAhead": 1 << 40}}, "FFD2104"),
    "a webhook to nowhere": ({"name": "a", "transport": "webhooks"}, "FF10242"),
}


async def test_a_bad_subscription_is_refused_and_not_kept(node: Node) -> None:
    for name, (body, code) in BAD_SUBSCRIPTIONS.items():
        for method in ("POST", "PUT"):
            answer = await node.send(method, "subscriptions", body)
            assert (answer.status, answer.code) == (400, code), (name, answer.error)
    assert await node.get("subscriptions") == []


async def test_subscriptions_have_a_limit(tmp_path: Path) -> None:
    async with open_node(tmp_path, FFD_LIMITS__SUBSCRIPTIONS_MAX="1") as node:
        await node.send("POST", "subscriptions", {"name": "one"})
        answer = await node.send("POST", "subscriptions", {"name": "two"})
        assert (answer.status, answer.code) == (429, "FFD5001")


async def test_a_status_says_how_far_a_subscription_has_come_and_who_hears_it(node: Node) -> None:
    await node.send("POST", "subscriptions", {"name": "app", "options": {"firstEvent": "oldest"}})
    await node.broadcast("one")
    id = (await node.get("subscriptions/app"))["id"]
    assert await progress(node) == {"currentOffset": -1, "active": False, "lag": 3, "inFlight": 0}
    async with trio.open_nursery() as nursery:
        app = await wrap_client_stream(nursery, await trio.open_unix_socket(str(node.socket)), "ffd", "/ws")
        await app.send_message('{"type":"start","namespace":"default","name":"app"}')
        event = json.loads(await app.get_message())
        assert event["subscription"]["id"] == id
        assert await progress(node) == {"currentOffset": -1, "active": True, "lag": 3, "inFlight": 1}
        await app.send_message(json.dumps({"type": "ack", "id": event["id"], "subscription": event["subscription"]}))
        await app.get_message()
        assert await progress(node) == {"currentOffset": 1, "active": True, "lag": 2, "inFlight": 1}
        (shown,) = (await node.get("status"))["ffd"]["subscriptions"]
        assert shown == {
            "id": id, "namespace": "default", "name": "app", "active": True, "offset": 1, "lag": 2, "inFlight": 1,
        }  # fmt: skip
        await app.aclose()


async def progress(node: Node) -> Any:
    return (await node.get("subscriptions/app", fetchstatus="true"))["status"]


NOT_THERE = [
    f"{collection}/{UNKNOWN}"
    for collection in (
        "messages", "data", "events", "subscriptions", "batches", "transactions", "operations", "identities",
    )
]  # fmt: skip
NOT_THERE += [f"messages/{UNKNOWN}/{part}" for part in ("data", "events", "transaction")]
NOT_THERE += [f"data/{UNKNOWN}/value", f"transactions/{UNKNOWN}/operations", "subscriptions/nosuch"]


async def test_what_is_not_there_is_not_found(node: Node) -> None:
    for target in NOT_THERE:
        answer = await node.ask("GET", target)
        assert (answer.status, answer.code) == (404, "FF10109"), target


async def test_what_is_no_id_is_refused(node: Node) -> None:
    for target in NOT_THERE[:-1]:
        answer = await node.ask("GET", target.replace(UNKNOWN, "4ea27cce"))
        wanted = (404, "FF10109") if target.startswith("subscriptions") else (400, "FF00138")
        assert (answer.status, answer.code) == wanted, target


async def test_ids_are_taken_in_every_spelling(node: Node) -> None:
    id = (await node.broadcast("x"))["header"]["id"]
    for spelling in (id.upper(), id.replace("-", ""), f"urn:uuid:{id}"):
        assert (await node.get(f"messages/{spelling}"))["header"]["id"] == id
