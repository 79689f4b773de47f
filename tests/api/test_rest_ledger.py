"""What became of things on the ledger: transactions, blockchain events, pins; and what there is of groups."""

import json
from pathlib import Path
from typing import Any

from ffd.store import Transaction
from tests.api.rest import JSON, Node, open_node


async def test_a_transaction_that_is_through_shows_all_its_parts(node: Node) -> None:
    message = await node.broadcast("x")
    status = await node.get(f"transactions/{message['txid']}/status")
    assert status["status"] == "Succeeded"
    assert {(each["type"], each.get("subtype"), each["status"]) for each in status["details"]} == {
        ("Operation", "sharedstorage_upload_batch", "Succeeded"),
        ("Operation", "blockchain_pin_batch", "Succeeded"),
        ("BlockchainEvent", "BatchPin", "Succeeded"),
        ("Batch", "broadcast", "Succeeded"),
    }
    times = [each["timestamp"] for each in status["details"]]
    assert times == sorted(times, reverse=True), "the newest first"
    upload = next(each for each in status["details"] if each.get("subtype") == "sharedstorage_upload_batch")
    assert upload["info"]["payloadRef"]


async def test_what_is_missing_of_a_transaction_leads_and_keeps_it_pending(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("sequencer",)) as node:
        await node.broadcast("x", confirm=False)
        (transaction,) = await node.until("transactions", len)
        status = await node.until(
            f"transactions/{transaction['id']}/status",
            lambda found: all(
                each["status"] == "Succeeded" for each in found["details"] if each["type"] == "Operation"
            ),
        )
        assert status["status"] == "Pending"
        # The batch is here, but was not read back yet; nothing has a time that is not known.
        assert status["details"][0] == {"type": "BlockchainEvent", "status": "Pending"}
        assert (status["details"][1]["type"], status["details"][1]["status"]) == ("Batch", "Succeeded")


async def test_a_failure_shows_unless_it_is_tried_again(node: Node) -> None:
    message = await node.broadcast("x")
    target = f"transactions/{message['txid']}/status"

    async def change(sql: str) -> None:
        def unit(tx: Transaction) -> None:
            tx.execute(sql)

        await node.parts.store.write(unit)

    await change("UPDATE operations SET status = 'Failed', error = 'no' WHERE type = 'blockchain_pin_batch'")
    found = await node.get(target)
    assert found["status"] == "Failed" and {"no"} == {each["error"] for each in found["details"] if "error" in each}
    await change("UPDATE operations SET retry = id WHERE status = 'Failed'")
    assert (await node.get(target))["status"] == "Succeeded"


async def test_a_transaction_of_a_kind_without_pins_has_a_status_too(node: Node) -> None:
    message = await node.broadcast("x")

    def unit(tx: Transaction) -> None:
        tx.execute("UPDATE transactions SET type = 'network_action'")

    await node.parts.store.write(unit)
    status = await node.get(f"transactions/{message['txid']}/status")
    assert status["status"] == "Succeeded" and "Batch" not in {each["type"] for each in status["details"]}


async def test_a_blockchain_event_is_found_by_itself_and_by_its_transaction(node: Node) -> None:
    message = await node.broadcast("x", topics=["a", "b"])
    await node.broadcast("y")
    newest, event = await node.get("blockchainevents")
    assert event["name"] == "BatchPin" and len(event["output"]["contexts"]) == 2
    assert event["tx"]["id"] == message["txid"] and event["tx"]["type"] == "batch_pin"
    assert await node.get(f"blockchainevents/{event['id']}") == event
    assert await node.get(f"transactions/{message['txid']}/blockchainevents") == [event]
    for query in (
        {"tx.id": message["txid"]}, {"protocolid": event["protocolId"]},
        {"tx.blockchainid": event["tx"]["blockchainId"]},
        {"timestamp": f"<{newest['timestamp']}"}, {"tx.type": "batch_pin", "sort": "timestamp", "limit": 1},
    ):  # fmt: skip
        assert await node.get("blockchainevents", **query) == [event], query
    assert await node.get("blockchainevents", listener="any") == []
    assert (await node.ask("GET", f"blockchainevents/{message['txid']}")).code == "FF10109"


async def test_a_rewind_names_the_batch_whether_by_a_pin_or_by_itself(node: Node) -> None:
    message = await node.broadcast("x", topics=["a", "b"])
    for body in ({"sequence": 2}, {"batch": message["batch"]}, {"sequence": 1, "batch": "ignored"}):
        answer = await node.send("POST", "pins/rewind", body)
        said = {"sequence": body.get("sequence", 0), "batch": message["batch"]}
        assert (answer.status, json.loads(answer.body)) == (200, said)


UNKNOWN_REWINDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no such pin": ({"sequence": 99}, 404, "FF10109"),
    "no such batch": ({"batch": "01a207aa-b2a8-7000-af2d-ea10df7a406e"}, 404, "FF10109"),
    "no id": ({"batch": "x"}, 400, "FF00138"),
    "nothing": ({}, 400, "FFD2021"),
    "a negative pin": ({"sequence": -1}, 400, "FFD2021"),
    "a broken pin": ({"sequence": 1.5}, 400, "FFD2104"),
    "too large a pin": ({"sequence": 2**63}, 400, "FFD2104"),
}


async def test_a_rewind_to_nowhere_is_refused(node: Node) -> None:
    await node.broadcast("x")
    for name, (body, status, code) in UNKNOWN_REWINDS.items():
        answer = await node.send("POST", "pins/rewind", body)
        assert (answer.status, answer.code) == (status, code), (name, answer.body)


async def test_a_rewind_lets_the_aggregator_look_again(tmp_path: Path) -> None:
    """A pin that waits for what has come unseen is dispatched once somebody says where to look."""
    async with open_node(tmp_path, roles=("sequencer", "intake")) as node:
        await node.broadcast("x", confirm=False)
        (pin,) = await node.until("pins", len)
        await node.until("batches", lambda found: found and found[0]["confirmed"])

        def leave(tx: Transaction) -> None:
            tx.execute(
                "INSERT INTO waiting_pins (pin, namespace, hash, batch, cause, subject, since)"
                " SELECT p.sequence, 1, p.hash, e.batch, 'payload', '', 1 FROM pins p"
                " JOIN blockchainevents e ON e.sequence = p.blockchainevent"
            )
            tx.execute("INSERT INTO offsets (type, name, current) VALUES ('aggregator', 'default', 1)")

        await node.parts.store.write(leave)
        for _ in range(3):
            assert (await node.send("POST", "pins/rewind", {"sequence": pin["sequence"]})).status == 200
        assert node.parts.store.peek(lambda tx: tx.value("SELECT count(*) FROM rewinds")) == 1, "once is enough"
    async with open_node(tmp_path) as node:
        (message,) = await node.until("messages?state=confirmed", len)
        assert message["state"] == "confirmed"


async def test_groups_and_next_pins_are_read_from_their_tables(node: Node) -> None:
    assert await node.get("groups") == [] and await node.get("nextpins") == []
    hash, context = bytes(range(32)), bytes(range(32, 64))
    members = '[{"identity":"did:firefly:org/org0","node":"01a207aa-b2a8-7000-af2d-ea10df7a406e"}]'

    def unit(tx: Transaction) -> None:
        tx.execute("INSERT INTO groups VALUES (1, ?, 1, 'tea', ?, ?, 1709294400000000000)", (hash, members, hash[:16]))
        tx.execute("INSERT INTO nextpins VALUES (1, 1, ?, 'did:firefly:org/org0', ?, 7)", (context, hash))

    await node.parts.store.write(unit)
    group = {
        "namespace": "default", "name": "tea", "members": json.loads(members), "localNamespace": "default",
        "message": "00010203-0405-0607-0809-0a0b0c0d0e0f", "hash": hash.hex(), "created": "2024-03-01T12:00:00Z",
    }  # fmt: skip
    assert await node.get("groups", hash=hash.hex()) == [group] == await node.get("groups")
    assert await node.get("groups", description="any") == [] == await node.get("groups", ledger=group["message"])
    assert await node.get(f"groups/{hash.hex()}") == group == await node.get(f"groups/0x{hash.hex().upper()}")
    assert (await node.ask("GET", f"groups/{context.hex()}")).code == "FF10109"
    assert (await node.ask("GET", "groups/0123")).code == "FF00107"
    next_pin = {
        "namespace": "default", "context": context.hex(), "identity": "did:firefly:org/org0", "hash": hash.hex(),
        "nonce": 7,
    }  # fmt: skip
    assert await node.get("nextpins", nonce=">6", context=context.hex()) == [next_pin]
    assert await node.get("nextpins", identity="!^did") == []


async def test_an_operation_is_done_once_more_under_a_new_name(node: Node) -> None:
    message = await node.broadcast("x")
    (pin,) = await node.get("operations", type="blockchain_pin_batch")
    answer = await node.send("POST", f"operations/{pin['id']}/retry", {})
    new = json.loads(answer.body)
    assert answer.status == 202 and new["status"] == "Initialized" and new["id"] != pin["id"]
    assert {name: new[name] for name in ("tx", "type", "plugin", "input")} == {
        name: pin[name] for name in ("tx", "type", "plugin", "input")
    }
    await node.until(f"operations/{new['id']}", lambda found: found["status"] == "Succeeded")
    old = await node.get(f"operations/{pin['id']}")
    assert (old["status"], old["retry"]) == ("Succeeded", new["id"])
    # A second time goes on from the latest, and the first one names it.
    newest = json.loads((await node.send("POST", f"operations/{pin['id']}/retry", {})).body)
    assert [(await node.get(f"operations/{each['id']}"))["retry"] for each in (pin, new)] == [newest["id"]] * 2
    await node.until(f"operations/{newest['id']}", lambda found: found["status"] == "Succeeded")
    assert (await node.get(f"transactions/{message['txid']}/status"))["status"] == "Succeeded"
    assert len(await node.get("blockchainevents")) == 1, "nothing is pinned twice"


async def test_what_is_tried_anyway_or_is_unknown_is_not_done_once_more(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("intake",)) as node:

        def unit(tx: Transaction) -> None:
            rows = (("blockchain_pin_batch", "Pending"), ("token_transfer", "Failed"))
            for n, (type, status) in enumerate(rows, 1):
                tx.execute(
                    "INSERT INTO operations"
                    " (sequence, id, namespace, tx, type, status, plugin, created, updated, error)"
                    " VALUES (?, ?, 1, ?, ?, ?, 'x', 1, 1, 'no luck')",
                    (n, bytes([n]) * 16, bytes(16), type, status),
                )

        await node.parts.store.write(unit)
        pin, token, nothing = (f"{n}{n}-{n}-{n}-{n}-{n}{n}{n}" for n in ("0101", "0202", "0303"))
        for id, status, code in (
            (pin, 409, "FFD2023"),
            (token, 400, "FFD2022"),
            (nothing, 404, "FF10109"),
        ):
            answer = await node.send("POST", f"operations/{id}/retry", {})
            assert (answer.status, answer.code) == (status, code), answer.body
        assert "no luck" in (await node.send("POST", f"operations/{pin}/retry", {})).error
        for body, code in ((b"[]", "FFD2104"), (b"{", "FFD2101")):
            assert (await node.ask("POST", f"operations/{pin}/retry", JSON, body=body)).code == code


async def test_the_status_of_an_operation_is_that_of_its_plugin(node: Node) -> None:
    await node.broadcast("x")
    assert not any("detail" in each for each in await node.get("operations"))
    details = {each["type"]: each["detail"] for each in await node.get("operations?fetchstatus")}
    assert details["blockchain_pin_batch"]["height"] == 1
    assert details["sharedstorage_upload_batch"]["plugin"] == "directory"
    (pin,) = await node.get("operations", type="blockchain_pin_batch")
    assert (await node.get(f"operations/{pin['id']}?fetchstatus=true"))["detail"]["plugin"] == "file"


async def test_a_batch_that_has_left_is_not_given_up(node: Node) -> None:
    plain = (await node.broadcast("x"))["batch"]
    for query in ("", "?dryrun"):
        answer = await node.send("POST", f"batches/{plain}/cancel{query}", {})
        assert (answer.status, answer.code) == (400, "FF10468")
    unknown = await node.send("POST", "batches/01a207aa-b2a8-7000-af2d-ea10df7a406e/cancel", {})
    assert (unknown.status, unknown.code) == (404, "FF10109")
