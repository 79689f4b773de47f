"""How single parts of the node are: the sequencer, the membership, the open WebSockets."""

from tests.api.rest import Node


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
