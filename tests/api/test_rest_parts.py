"""How single parts of the node are: the sequencer, the membership, the open WebSockets."""

import os
from pathlib import Path

from tests.api.rest import Node, open_node
from tests.api.talker import open_talker, subscribe


async def test_the_batch_manager_shows_what_the_sequencer_has_done(node: Node) -> None:
    (idle,) = (await node.get("status/batchmanager"))["processors"]
    assert (idle["dispatcher"], idle["name"]) == ("pinned_broadcast", "did:firefly:org/org0|")
    assert idle["status"]["lastFlushStartTime"] is None and idle["status"]["totalBatches"] == 0
    await node.broadcast(1, 2)
    await node.broadcast(3)
    (processor,) = (await node.get("status/batchmanager"))["processors"]
    status = processor["status"]
    assert (status["totalBatches"], status["totalErrors"]) == (2, 0)
    assert (status["averageBatchMessages"], status["averageBatchData"]) == (1.0, 1.5)
    assert 500 < status["averageBatchBytes"] < 5000 and 0 <= status["averageFlushTimeMS"] < 10_000
    assert status["lastFlushStartTime"] and not status["blocked"] and not status["cancelled"]
    assert "flushing" not in status and "lastFlushError" not in status


async def test_the_organisation_and_the_node_are_registered_once_their_claims_are_confirmed(tmp_path: Path) -> None:
    unknown = {"status": "unregistered"}
    async with open_node(tmp_path, roles=("sequencer", "intake")) as node:
        assert await node.get("status/multiparty") == {"enabled": True, "org": unknown, "node": unknown}
        assert (await node.send("POST", "network/organizations/self", {})).status == 202
        under_way = await node.get("status/multiparty")
        (claim,) = await node.get("messages", tag="ff_identity_claim")
        assert under_way["org"] == {
            "status": "registering", "pendingRegistrationMessageId": claim["header"]["id"],
        }  # fmt: skip
        assert under_way["node"] == unknown
    async with open_node(tmp_path) as node:
        await node.until("status/multiparty", lambda found: found["org"] == {"status": "registered"})
        assert (await node.send("POST", "network/nodes/self?confirm", {})).status == 200
        assert (await node.get("status/multiparty"))["node"] == {"status": "registered"}


async def test_the_open_websockets_are_shown_with_what_they_started(node: Node) -> None:
    assert await node.get("websockets") == {"enabled": True, "connections": []}
    async with open_talker(node) as app, open_talker(node):
        await app.start("app1")
        await app.follow({"topic": "^a$"})
        await subscribe(node, "app1", filter={"topic": "^b$"})
        shown = await node.until("websockets", lambda found: "^b$" in str(found))
        mine, idle = shown["connections"]
        assert (
            idle["subscriptions"] == [] and idle["id"] != mine["id"] and f"pid {os.getpid()}" in mine["remoteAddress"]
        )
        durable, ephemeral = mine["subscriptions"]
        assert (durable["ephemeral"], durable["namespace"], durable["name"]) == (False, "default", "app1")
        assert durable["filter"]["topic"] == "^b$" and durable["startTime"]
        assert ephemeral["ephemeral"] is True and "name" not in ephemeral and ephemeral["filter"]["topic"] == "^a$"
    await node.until("websockets", lambda found: found["connections"] == [])
