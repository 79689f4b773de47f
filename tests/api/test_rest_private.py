"""Private messages over REST, on a node that is all the members by itself; and batches that are given up."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import trio

from ffd.plugins.ledger.memory import MemoryLedger
from tests.api.rest import Node, open_node

HOUSE = {"name": "house", "members": [{"identity": "org0"}]}


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Node, None]:
    async with open_node(tmp_path) as node:
        yield node


async def whisper(node: Node, value: Any, *, confirm: bool = True, route: str = "private", **more: Any) -> Any:
    """Send a private message; the answer."""
    body = {"header": more.pop("header", {}), "data": [{"value": value}], **({"group": HOUSE} | more)}
    answer = await node.send("POST", f"messages/{route}?confirm={confirm}", body)
    assert answer.status in (200, 202), answer.body
    return json.loads(answer.body)


async def test_a_private_message_is_confirmed_and_its_group_can_be_named(node: Node) -> None:
    sent = await whisper(node, "psst", header={"topics": ["tea"], "tag": "t"})
    assert sent["state"] == "confirmed" and sent["header"]["type"] == "private" and "group" not in sent
    (group,) = await node.get("groups")
    assert group["hash"] == sent["header"]["group"] and group["name"] == "house"
    assert group == await node.get(f"groups/{group['hash']}")
    assert [member["identity"] for member in group["members"]] == ["did:firefly:org/org0"]
    (founding,) = await node.get("messages", type="groupinit")
    assert founding["header"]["id"] == group["message"]
    assert founding["header"]["tag"] == "ff_define_group" and founding["header"]["topics"] == [group["hash"]]
    again = await whisper(node, "psst again", header={"group": group["hash"], "topics": ["tea"]}, group=None)
    assert [pin.partition(":")[2] for pin in sent["pins"] + again["pins"]] == [f"{n:016}" for n in range(2)]
    assert len(await node.get("messages", group=group["hash"])) == 3


async def test_no_pin_of_a_private_message_says_anything(node: Node) -> None:
    sent = await whisper(node, "psst", header={"topics": ["tea"]})
    (batch,) = await node.get("batches", type="private")
    pins = await node.get("pins", batch=batch["id"])
    assert all(pin["masked"] for pin in pins)
    assert sent["pins"][0].partition(":")[0] in {pin["hash"] for pin in pins}
    (told,) = await node.get("blockchainevents")
    assert told["output"]["payloadRef"] == ""
    assert {each["type"] for each in await node.get(f"transactions/{batch['tx']['id']}/operations")} == {
        "blockchain_pin_batch"
    }


@pytest.mark.parametrize("txtype", ["batch_pin", "unpinned", "none"])
async def test_a_private_request_has_its_reply(node: Node, txtype: str) -> None:
    replies: list[Any] = []

    async def ask() -> None:
        replies.append(await whisper(node, "sugar?", route="requestreply", header={"tag": "ask", "txtype": txtype}))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            (request,) = await node.until("messages?tag=ask&state=confirmed", len)
            assert request["header"]["txtype"] == ("batch_pin" if txtype == "batch_pin" else "unpinned")
            id = request["header"]["id"]
            await whisper(node, "with pleasure", header={"cid": id, "tag": "re", "txtype": txtype}, confirm=False)
    assert replies[0]["data"][0]["value"] == "with pleasure" and replies[0]["header"]["cid"] == request["header"]["id"]


async def test_an_unpinned_message_leaves_no_trace_on_the_ledger(node: Node) -> None:
    sent = await whisper(node, "psst", header={"txtype": "unpinned"})
    assert sent["state"] == "confirmed" and "pins" not in sent
    assert (await node.get(f"messages/{sent['header']['id']}/transaction"))["type"] == "unpinned"
    assert all(each["output"]["payloadRef"] == "" for each in await node.get("blockchainevents"))
    (told,) = await node.get(f"messages/{sent['header']['id']}/events")
    assert told["type"] == "message_confirmed"


async def test_the_same_key_sends_nothing_twice_and_founds_nothing(node: Node) -> None:
    await node.broadcast("x", key="once")
    body = {"group": HOUSE, "data": [{"value": 1}], "idempotencyKey": "once"}
    answer = await node.send("POST", "messages/private", body)
    assert (answer.status, answer.code) == (409, "FF10430")
    assert await node.get("groups") == []


@pytest.mark.parametrize("private", [False, True])
async def test_a_batch_that_cannot_leave_is_given_up_after_a_dry_run(tmp_path: Path, *, private: bool) -> None:
    async with open_node(tmp_path, ledger="memory") as node:
        ledger = node.parts.members["default"].ledger
        assert isinstance(ledger, MemoryLedger)
        if private:
            await whisper(node, "hello")
        ledger.faults.away = True
        send = whisper(node, "wrong", confirm=False) if private else node.broadcast("wrong", confirm=False)
        wrong = (await send)["header"]["id"]
        batch = (await node.until(f"messages/{wrong}", lambda found: "batch" in found))["batch"]
        dry = await node.send("POST", f"batches/{batch}/cancel?dryrun", {})
        assert dry.status == 200 and json.loads(dry.body) == {
            "batch": batch, "cancelled": [wrong], "filled": [wrong] if private else [], "kept": [], "delivered": [],
        }  # fmt: skip
        assert (await node.get(f"messages/{wrong}"))["state"] == "ready"
        assert (await node.send("POST", f"batches/{batch}/cancel", {})).status == 204
        assert (await node.get(f"messages/{wrong}"))["state"] == "cancelled"
        again = await node.send("POST", f"batches/{batch}/cancel", {})
        assert (again.status, again.code) == (400, "FF10468")
        ledger.faults.away = False
        right = await (whisper(node, "right") if private else node.broadcast("right"))
        assert right["state"] == "confirmed"
        fillers = await node.get("messages", tag="ff_gap_fill")
        assert [each["header"]["cid"] for each in fillers] == ([wrong] if private else [])
