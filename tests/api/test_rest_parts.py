"""How single parts of the node are: the sequencer, the membership, the open WebSockets."""

import os

from tests.api.rest import Node
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


async def test_the_node_and_its_organisation_are_registered(node: Node) -> None:
    registered = {"status": "registered"}
    assert await node.get("status/multiparty") == {"enabled": True, "org": registered, "node": registered}


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
