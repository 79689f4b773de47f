"""What is the same for every route: paths, methods, namespaces, switches, deadlines, and how the node is."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import trio

from ffd import __version__
from ffd.api import call as calls
from ffd.api.app import ROUTES
from ffd.model.query import COLLECTIONS
from ffd.store import Transaction, collections
from ffd.store.pins import WaitingPin, leave_waiting
from tests.api.door import request
from tests.api.rest import JSON, Node, open_node


async def test_every_route_of_a_namespace_is_served_at_two_paths(node: Node) -> None:
    await node.broadcast("x")
    for target in (
        "messages",
        "events",
        "data",
        "batches",
        "pins",
        "transactions",
        "operations",
        "status",
        "identities",
    ):
        assert (await node.ask("GET", f"namespaces/default/{target}")).status == 200, target
        assert (await node.ask("GET", target)).status == 200, target
    assert await node.get("namespaces/default/messages") == await node.get("messages")


async def test_a_namespace_that_is_not_there_is_told_whatever_is_asked(node: Node) -> None:
    for method, target in (("GET", "messages"), ("GET", "status"), ("GET", ""), ("POST", "messages/broadcast")):
        answer = await node.ask(method, f"namespaces/nosuch/{target}".rstrip("/"), JSON, body=b"{}")
        assert (answer.status, answer.code) == (404, "FF10436"), target


async def test_two_namespaces_share_nothing_but_the_sequence(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "FFD_NAMESPACES__BLUE__DESCRIPTION": "the other",
        "FFD_NAMESPACES__DEFAULT__LEDGER": "local",
    }
    async with open_node(tmp_path, **settings) as node:
        message = await node.broadcast("here")
        id = message["header"]["id"]
        assert await node.get("namespaces/blue/messages") == []
        for target in (f"messages/{id}", f"batches/{message['batch']}", f"transactions/{message['txid']}"):
            assert (await node.ask("GET", f"namespaces/blue/{target}")).code == "FF10109", target
        await node.send("POST", "namespaces/blue/messages/broadcast?confirm", {"data": [{"value": "there"}]})
        (other,) = await node.get("namespaces/blue/messages")
        assert other["localNamespace"] == other["header"]["namespace"] == "blue"
        events = await node.get("events", sort="sequence")
        others = await node.get("namespaces/blue/events", sort="sequence")
        assert sorted(event["sequence"] for event in events + others) == [1, 2, 3, 4, 5, 6]
        listed = await node.get("namespaces")
        assert {each["name"]: each["description"] for each in listed} == {"default": "", "blue": "the other"}
        assert await node.get("namespaces/blue") in listed


PATHS = {
    "nothing there": ("GET", "/api/v1/nosuch", 404, "FF10109"),
    "not even the API": ("GET", "/", 404, "FF10109"),
    "a slash too many": ("GET", "/api/v1/messages/", 404, "FF10109"),
    "an id too many": ("GET", "/api/v1/status/1", 404, "FF10109"),
    "another version": ("GET", "/api/v2/messages", 404, "FF10109"),
    "another method": ("DELETE", "/api/v1/messages", 405, "FFD2011"),
    "another method of one thing": ("PATCH", "/api/v1/namespaces/default/subscriptions/x", 405, "FFD2011"),
    "a method nobody knows": ("BREW", "/api/v1/messages", 405, "FFD2011"),
    "a path out of the house": ("GET", "/api/v1/data/..%2f..%2fetc/value", 404, "FF10109"),
}


async def test_what_is_not_offered_is_told_in_json(node: Node) -> None:
    for name, (method, target, status, code) in PATHS.items():
        answer = await node.ask(method, target)
        assert (answer.status, answer.code) == (status, code), (name, answer.body)
        assert answer.headers["x-ffd"] == __version__


async def test_a_refused_method_names_all_that_are_offered(node: Node) -> None:
    answer = await node.ask("PATCH", "subscriptions")
    offered = {"GET", "HEAD", "OPTIONS", "POST", "PUT"}
    assert answer.status == 405 and set(answer.headers["allow"].split(", ")) == offered
    asked = await node.ask("OPTIONS", "subscriptions")
    assert (asked.status, asked.body, set(asked.headers["allow"].split(", "))) == (204, b"", offered)
    assert (await node.ask("OPTIONS", "nosuch")).status == 404


async def test_a_head_is_the_answer_without_its_body(node: Node) -> None:
    async with await trio.open_unix_socket(str(node.socket)) as stream:
        await stream.send_all(request("HEAD", "/api/v1/messages", "Connection: close"))
        said = b"".join([piece async for piece in stream])
    assert said.startswith(b"HTTP/1.1 200") and b"content-length: 3" in said and said.endswith(b"\r\n\r\n")


TIMEOUTS = {
    "seconds": ("2", 200),
    "a duration": ("1m30s", 200),
    "more than the node allows": ("10h", 200),
    "none at all": ("soon", 400),
}


async def test_a_request_may_say_how_long_it_waits(node: Node) -> None:
    for name, (text, status) in TIMEOUTS.items():
        assert (await node.ask("GET", "messages", f"Request-Timeout: {text}")).status == status, name
    late = await node.ask("GET", "messages", "Request-Timeout: 0", "X-FireFly-Request-ID: mine")
    assert (late.status, late.code) == (408, "FF00166") and "'mine'" in late.error


SWITCHES = {"": True, "=": True, "=true": True, "=TRUE": True, "=false": False, "=1": False, "=false&count=true": False}


async def test_a_switch_is_on_when_it_is_empty_or_true(node: Node) -> None:
    for text, on in SWITCHES.items():
        assert isinstance(await node.get(f"messages?count{text}"), dict) is on, text


async def test_a_list_that_is_too_large_for_one_answer_is_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LIST_BYTES_MAX", 2000)
    await node.broadcast("x" * 1500)
    assert len(await node.get("messages")) == 1
    answer = await node.ask("GET", "messages?fetchdata")
    assert (answer.status, answer.code) == (400, "FFD2020")


async def test_the_status_is_fireflys_with_ours_beside_it(node: Node) -> None:
    await node.broadcast("x")
    status = await node.get("status")
    assert list(status) == ["namespace", "node", "org", "plugins", "multiparty", "ffd"]
    assert status["namespace"] == await node.get("namespaces/default")
    assert status["node"] == {"name": "node0", "registered": True, "id": (await node.get("network/nodes"))[0]["id"]}
    (org,) = await node.get("network/organizations")
    assert (status["org"]["id"], status["org"]["did"]) == (org["id"], "did:firefly:org/org0")
    assert status["plugins"]["blockchain"] == [{"name": "local", "pluginType": "file"}]
    ours = status["ffd"]
    assert (ours["version"], ours["pid"]) == (__version__, os.getpid())
    assert ours["sequences"] == {"messages": 1, "pins": 1, "events": 3}
    assert ours["backlog"] == {"unsent": 0, "unconfirmed": 0} and ours["blocked"] == []
    assert {role["state"] for role in ours["roles"]} == {"leading"}
    assert ours["exchange"] == {"name": "local", "plugin": "loopback"}
    assert ours["ledger"]["height"] == 1 and ours["storage"]["plugin"] == "directory"
    assert ours["limits"]["messageBytes"] == 800 * 1024


async def test_the_status_stands_it_that_a_namespace_with_subscriptions_is_not_configured_any_more(
    tmp_path: Path,
) -> None:
    async with open_node(
        tmp_path, FFD_NAMESPACES__BLUE__LEDGER="local", FFD_NAMESPACES__DEFAULT__LEDGER="local"
    ) as node:
        for path in ("subscriptions", "namespaces/blue/subscriptions"):
            assert (await node.send("POST", path, {"name": "app"})).status == 201
        assert len((await node.get("status"))["ffd"]["subscriptions"]) == 2
    async with open_node(tmp_path) as node:
        (left,) = (await node.get("status"))["ffd"]["subscriptions"]
        assert left["namespace"] == "default"


async def test_a_backlog_is_counted(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("sequencer",)) as node:
        for value in range(3):
            await node.broadcast(value, confirm=False)
        await node.until("messages?state=ready", lambda found: not found)
        assert (await node.get("status"))["ffd"]["backlog"] == {"unsent": 0, "unconfirmed": 3}
    async with open_node(tmp_path, roles=("aggregator",)) as node:
        await node.broadcast(4, confirm=False)
        assert (await node.get("status"))["ffd"]["backlog"] == {"unsent": 1, "unconfirmed": 4}


async def test_what_is_blocked_says_by_whom_and_since_when(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("sequencer", "intake")) as node:
        await node.broadcast("x", confirm=False, topics=["a", "b"])
        pins = await node.until("pins?sort=sequence", lambda found: len(found) == 2)
        batch, hashes = pins[0]["batch"], [bytes.fromhex(pin["hash"]) for pin in pins]
        raw = bytes.fromhex(batch.replace("-", ""))

        def leave(tx: Transaction) -> None:
            waiting = [
                WaitingPin(n, hash, raw, raw if n == 1 else None, "a" if n == 1 else None, "payload", batch)
                for n, hash in enumerate(hashes, 1)
            ]
            leave_waiting(tx, 1, waiting, 1_709_294_400_000_000_000)

        await node.parts.store.write(leave)
        assert (await node.get("status"))["ffd"]["blocked"] == [
            {
                "topic": "a", "context": hashes[0].hex(), "message": batch, "batch": batch, "cause": "payload",
                "subject": batch, "since": "2024-03-01T12:00:00Z", "pins": 1,
            },
            {
                "context": hashes[1].hex(), "batch": batch, "cause": "payload", "subject": batch,
                "since": "2024-03-01T12:00:00Z", "pins": 1,
            },
        ]  # fmt: skip


async def test_a_supervisor_hears_that_the_node_lives_and_is_ready(node: Node) -> None:
    assert await node.get("/livez") == {"live": True}
    assert await node.get("/readyz") == {"ready": True}


async def test_a_node_that_is_not_ready_says_why(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("sequencer", "intake")) as node:
        await node.broadcast("x", confirm=False)
        await node.until("pins", len)
        await node.parts.store.write(lambda tx: tx.execute("UPDATE batches SET manifest = '{}'"))
    async with open_node(tmp_path) as node:
        with trio.fail_after(20):
            while (answer := await node.ask("GET", "/readyz")).status == 200:
                pass
        said = json.loads(answer.body)
        assert answer.status == 503 and said["ready"] is False
        (reason,) = said["reasons"]
        assert "aggregator:default" in reason and "FFD3030" in reason


def test_the_table_of_routes_is_whole() -> None:
    """What a description of the API will be made from: one row for each, with a word on it, and known fields."""
    assert len({(route.method, path) for route in ROUTES for path in route.paths}) == sum(len(r.paths) for r in ROUTES)
    for route in ROUTES:
        assert route.handler.__doc__, route
        assert not route.filters or route.filters in COLLECTIONS, route
        assert all(re.fullmatch("[a-z]+(:path)?", name) for name in re.findall(r"{(.*?)}", route.path)), route


def test_every_field_that_can_be_asked_for_is_in_the_store() -> None:
    for route in ROUTES:
        if route.filters:
            collection = getattr(collections, route.filters.upper())
            assert set(collection.columns) == set(COLLECTIONS[route.filters]), route.filters
