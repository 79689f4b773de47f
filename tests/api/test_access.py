"""Who may do what, over TCP: a whole node, tokens for all of it and for one namespace."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trio
from trio_websocket import wrap_client_stream

from ffd.api.app import ROUTES
from tests.api.door import Answer, Client
from tests.api.rest import JSON, Node, open_node
from tests.api.talker import Talker

ALL, SALES = "token-for-the-node-", "token-for-the-sales"


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Node, None]:
    """A node with two namespaces and a TCP door that asks for tokens."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"all {ALL}\nsales {SALES} sales\n")
    tokens.chmod(0o600)
    async with open_node(
        tmp_path,
        FFD_HTTP__ADDRESS="127.0.0.1",
        FFD_HTTP__PORT="0",
        FFD_HTTP__OPEN_LOOPBACK="true",
        FFD_HTTP__TOKENS_FILE=str(tokens),
        FFD_NAMESPACES__DEFAULT__LEDGER="local",
        FFD_NAMESPACES__SALES__LEDGER="local",
    ) as node:
        yield node


async def url_of(node: Node) -> str:
    """Where its TCP door is."""
    return str((await node.get("status"))["ffd"]["http"][0])


async def ask(node: Node, method: str, target: str, token: str = "", value: Any = None, *headers: str) -> Answer:
    """One request over TCP."""
    at = urlsplit(await url_of(node))
    body = b"" if value is None else json.dumps(value).encode()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {at.netloc}", JSON, *(headers or ("Connection: close",))]
    lines += [f"Authorization: Bearer {token}"] if token else []
    lines += [f"Content-Length: {len(body)}"] if body else []
    async with await trio.open_tcp_stream("127.0.0.1", at.port or 0) as stream:
        client = Client(stream)
        await client.say("\r\n".join([*lines, "", ""]).encode() + body)
        return await client.answer()


@asynccontextmanager
async def talker(node: Node, token: str, target: str = "/ws") -> AsyncGenerator[Talker, None]:
    """A WebSocket over TCP."""
    at = urlsplit(await url_of(node))
    headers = [(b"Authorization", f"Bearer {token}".encode())]
    stream = await trio.open_tcp_stream("127.0.0.1", at.port or 0)
    async with trio.open_nursery() as nursery:
        try:
            connection = await wrap_client_stream(nursery, stream, at.netloc, target, extra_headers=headers)
            yield Talker(connection)
            await connection.aclose()
        finally:
            await trio.aclose_forcefully(stream)


async def test_no_route_answers_a_stranger(node: Node) -> None:
    answered = set()
    for method, path in sorted({(each.method, path) for each in ROUTES for path in each.paths}):
        answer = await ask(node, method, path.replace("{ns}", "default"), value={})
        if answer.status != 401 or answer.code != "FF00169":
            answered.add(path)
    assert answered == {"/livez", "/readyz"}


async def test_what_is_nowhere_is_not_told_to_strangers_either(node: Node) -> None:
    for target in ("/", "/nowhere", "/api/v1/nowhere", "/livez/../api/v1/status", "//livez", "/livez/", "/api", "/ws"):
        assert (await ask(node, "GET", target)).status == 401, target
    assert (await ask(node, "GET", "/nowhere", ALL)).status == 404


async def test_a_stranger_learns_that_the_node_is_not_ready_and_not_why(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ffd.daemon.facts.NodeFacts.unready", lambda _self: ["a secret"])
    assert json.loads((await ask(node, "GET", "/readyz")).body) == {"ready": False}
    assert json.loads((await ask(node, "GET", "/readyz", ALL)).body) == {"ready": False, "reasons": ["a secret"]}


async def test_a_token_of_one_namespace_opens_that_one_alone(node: Node) -> None:
    message = {"data": [{"value": "x"}]}
    for target, status in (
        ("/api/v1/namespaces/sales/messages/broadcast?confirm", 200),
        ("/api/v1/namespaces/default/messages/broadcast", 403),
        ("/api/v1/messages/broadcast", 403),
        ("/api/v1/namespaces/nowhere/messages/broadcast", 403),
        ("/api/v1/namespaces/sales%2f..%2fdefault/messages/broadcast", 400),
    ):
        answer = await ask(node, "POST", target, SALES, message)
        assert answer.status == status, (target, answer)
        assert status != 403 or answer.code == "FF00170"
    assert len(json.loads((await ask(node, "GET", "/api/v1/namespaces/sales/messages", SALES)).body)) == 1
    assert (await ask(node, "GET", "/api/v1/messages", SALES)).status == 403
    assert json.loads((await ask(node, "GET", "/api/v1/messages", ALL)).body) == []


async def test_a_token_of_one_namespace_sees_nothing_of_the_others(node: Node) -> None:
    assert (await node.send("POST", "subscriptions", {"name": "worker"})).status == 201
    listed = json.loads((await ask(node, "GET", "/api/v1/namespaces", SALES)).body)
    assert [each["name"] for each in listed] == ["sales"]
    assert len(json.loads((await ask(node, "GET", "/api/v1/namespaces", ALL)).body)) == 2
    for target in ("/api/v1/namespaces/default", "/api/v1/websockets", "/api/v1/status"):
        assert (await ask(node, "GET", target, SALES)).status == 403, target
    mine = json.loads((await ask(node, "GET", "/api/v1/namespaces/sales/status", SALES)).body)
    everything = json.loads((await ask(node, "GET", "/api/v1/namespaces/sales/status", ALL)).body)
    assert mine["ffd"]["subscriptions"] == [] and len(everything["ffd"]["subscriptions"]) == 1


async def test_a_stranger_opens_no_websocket(node: Node) -> None:
    for target in ("/ws", "/api/v1/namespaces/default/ws", "/ws?namespace=default&name=worker&autoack"):
        key = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        for headers in (("Connection: Upgrade", "Upgrade: websocket", *key), ()):
            answer = await ask(node, "GET", target, "", None, *headers)
            assert (answer.status, answer.code) == (401, "FF00169")


async def test_a_websocket_starts_what_its_token_may(node: Node) -> None:
    async with talker(node, ALL) as app:
        await app.follow()
        await node.broadcast("heard")
        assert await app.take() == "heard"
    async with talker(node, SALES) as app:
        await app.say("start", namespace="sales", ephemeral=True, filter={"events": "none"})
        assert (await app.send("mine", namespace="sales"))["type"] == "accepted"
        assert "FF00170" in (await app.send("not mine", namespace="default"))["error"]
        assert "FF00170" in (await app.send("not mine", namespace="nowhere"))["error"]
    for fields in (
        {"namespace": "default", "name": "worker"},
        {"namespace": "default", "ephemeral": True},
        {"namespace": "*", "ephemeral": True},
        {"namespace": "*", "name": "worker"},
    ):
        async with talker(node, SALES) as app:
            await app.say("start", **fields)
            assert (await app.refused()).startswith("FF00170")


async def test_a_start_in_the_url_is_asked_too(node: Node) -> None:
    for target in (
        "/ws?namespace=default&ephemeral",
        "/ws?namespace=default&name=worker",
        "/ws?ephemeral&namespace=*",
        "/ws?namespace=*&name=worker",
        "/api/v1/namespaces/*/ws?ephemeral",
    ):
        async with talker(node, SALES, target) as app:
            frame = await app.hear()
            assert frame["type"] == "protocol_error" and frame["error"].startswith("FF00170")


async def test_what_spans_all_namespaces_is_for_those_who_may_use_all(node: Node) -> None:
    everywhere = "/api/v1/namespaces/*/"
    answer = await ask(node, "POST", f"{everywhere}subscriptions", ALL, {"name": "all"})
    assert answer.status == 201 and json.loads(answer.body)["namespace"] == "*"
    for method, path in (
        ("GET", "subscriptions"), ("GET", "subscriptions/all"), ("GET", "subscriptions/all/events"),
        ("DELETE", "subscriptions/all"), ("GET", "events"), ("POST", "subscriptions"), ("GET", "status"),
    ):  # fmt: skip
        refused = await ask(node, method, everywhere + path, SALES, {"name": "mine"} if method == "POST" else None)
        assert (refused.status, refused.code) == (403, "FF00170"), path
    mine = json.loads((await ask(node, "GET", "/api/v1/namespaces/sales/status", SALES)).body)
    everything = json.loads((await ask(node, "GET", "/api/v1/namespaces/sales/status", ALL)).body)
    assert mine["ffd"]["subscriptions"] == []
    assert [each["name"] for each in everything["ffd"]["subscriptions"]] == ["all"]
