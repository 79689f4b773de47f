"""Broadcasts over the REST API: sent, confirmed, found again, refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from ffd.inbound.arrivals import Arrivals
from ffd.store import Transaction
from tests.api.rest import JSON, Node, open_node
from tests.inbound.member import pack, sealed

SEND = "messages/broadcast"


async def test_a_broadcast_is_answered_at_once_and_found_again(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        answer = await node.send("POST", SEND, {"header": {"tag": "tea", "topics": ["house"]}, "data": [{"value": 4}]})
        sent = json.loads(answer.body)
        assert (answer.status, sent["state"], sent["localNamespace"]) == (202, "ready", "default")
        found = await node.get(f"messages/{sent['header']['id']}")
        assert (found["header"], found["hash"], found["data"]) == (sent["header"], sent["hash"], sent["data"])


async def test_an_answer_is_fireflys_text_to_the_last_byte(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        answer = await node.send(
            "POST", SEND, {"header": {"tag": "t"}, "data": [{"value": "x"}], "idempotencyKey": "k1"}
        )
        sent = json.loads(answer.body)
        header, item = sent["header"], sent["data"][0]
        assert answer.headers["content-type"] == "application/json"
        assert answer.body.decode() == (
            f'{{"header":{{"id":"{header["id"]}","type":"broadcast","txtype":"batch_pin","author":"did:firefly:org/org0",'
            f'"key":"{header["key"]}","created":"{header["created"]}","namespace":"default","topics":["default"],'
            f'"tag":"t","datahash":"{header["datahash"]}"}},"localNamespace":"default","hash":"{sent["hash"]}",'
            f'"state":"ready","data":[{{"id":"{item["id"]}","hash":"{item["hash"]}"}}],"idempotencyKey":"k1"}}\n'
        )


async def test_a_confirmed_broadcast_comes_back_as_it_is_now(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        message = await node.broadcast("hello", topics=["a", "b"])
        assert message["state"] == "confirmed" and message["confirmed"] and message["batch"] and message["txid"]
        events = await node.get(f"messages/{message['header']['id']}/events", sort="sequence")
        assert [(event["type"], event["topic"]) for event in events] == [
            ("message_confirmed", "a"),
            ("message_confirmed", "b"),
        ]


async def test_values_come_back_as_the_text_that_was_sent(tmp_path: Path) -> None:
    """Not parsed and written again: the order and repetition of keys, the spelling of numbers and escapes stay."""
    value = r'{"b":1.50,"a":1e400,"b":"\ud800\u00e9/","n":123456789012345678901234567890}'
    async with open_node(tmp_path) as node:
        answer = await node.ask("POST", f"{SEND}?confirm", JSON, body=f'{{"data":[{{"value": {value} }}]}}'.encode())
        message = json.loads(answer.body)
        id, item = message["header"]["id"], message["data"][0]["id"]
        assert (await node.ask("GET", f"data/{item}/value")).body.decode() == value + "\n"
        for target in (f"messages/{id}?fetchdata", f"messages/{id}/data", f"data/{item}", "messages?fetchdata=true"):
            assert f'"value":{value}' in (await node.ask("GET", target)).body.decode()


async def test_fetched_data_stands_where_firefly_puts_it(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        message = await node.broadcast({"n": 1}, key="k")
        found = await node.get(f"messages/{message['header']['id']}", fetchdata="true")
        assert list(found)[-2:] == ["idempotencyKey", "data"]
        assert list(found["data"][0].items()) == [
            *message["data"][0].items(), ("validator", "json"), ("value", {"n": 1}),
        ]  # fmt: skip


async def test_a_message_of_several_items_keeps_their_order(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        message = await node.broadcast(*range(12))
        items = await node.get(f"messages/{message['header']['id']}/data")
        assert [item["value"] for item in items] == list(range(12))
        assert items[0]["namespace"] == "default"


async def test_data_that_is_here_already_is_referred_to_by_its_id(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        first = await node.broadcast("shared")
        answer = await node.send("POST", SEND, {"data": [{"id": first["data"][0]["id"]}]})
        assert answer.status == 202 and json.loads(answer.body)["data"] == first["data"]


async def test_the_same_idempotency_key_names_the_first_message(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        first = await node.broadcast("once", key="k1")
        answer = await node.send("POST", SEND, {"data": [{"value": "twice"}], "idempotencyKey": "k1"})
        assert (answer.status, answer.code) == (409, "FF10430")
        assert first["header"]["id"] in answer.error
        assert await node.get("messages", idempotencykey="k1") == [first]


async def test_a_rejected_broadcast_is_told_to_who_waits(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:

        def give_the_key_to_somebody_else(tx: Transaction) -> None:
            tx.execute("UPDATE identities SET did = 'did:firefly:org/mallory' WHERE type = 'org'")

        await node.parts.store.write(give_the_key_to_somebody_else)
        answer = await node.send("POST", f"{SEND}?confirm=true", {"data": [{"value": 1}]})
        assert (answer.status, answer.code) == (500, "FF10269")
        (message,) = await node.get("messages", state="rejected")
        assert message["rejectReason"] in answer.error and message["header"]["id"] in answer.error


async def test_who_waits_is_not_kept_longer_than_it_asked(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("aggregator",)) as node:
        answer = await node.send("POST", f"{SEND}?confirm", {"data": [{"value": 1}]}, "Request-Timeout: 50ms")
        assert (answer.status, answer.code) == (408, "FF10260")
        (message,) = await node.get("messages")
        assert message["state"] == "ready" and message["header"]["id"] in answer.error


async def test_the_limit_of_the_node_goes_before_what_is_asked(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"FFD_TIMEOUTS__REQUEST_MAX_S": "0.05", "FFD_TIMEOUTS__REQUEST_S": "0.05"}
    async with open_node(tmp_path, roles=("aggregator",), **settings) as node:
        with trio.fail_after(20):
            answer = await node.send("POST", f"{SEND}?confirm", {"data": [{"value": 1}]}, "Request-Timeout: 600")
        assert (answer.status, answer.code) == (408, "FF10260")


async def test_many_wait_at_one_time_and_each_hears_of_its_own(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        states: list[Any] = []

        async def send(value: int) -> None:
            message = await node.broadcast(value, topics=[f"t{value % 3}"])
            states.append((message["state"], message["header"]["topics"]))

        async with trio.open_nursery() as nursery:
            for value in range(20):
                nursery.start_soon(send, value)
        assert sorted(states) == sorted(("confirmed", [f"t{value % 3}"]) for value in range(20))


LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "the newest first": ({}, "5 4 3 2 1"),
    "by tag": ({"tag": "even"}, "4 2"),
    "by topic": ({"topics": "odd"}, "5 3 1"),
    "by two values": ({"tag": ["even", "!even"]}, "5 4 3 2 1"),
    "by two fields": ({"tag": "even", "topics": "odd"}, ""),
    "a page": ({"limit": 2, "skip": 1}, "4 3"),
    "the oldest first": ({"sort": "sequence"}, "1 2 3 4 5"),
    "words of FireFly's for other routes": ({"fetchstatus": "", "confirm": "true"}, "5 4 3 2 1"),
}


async def test_a_field_that_no_message_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        answer = await node.ask("GET", "messages?tpoics=odd")
        assert (answer.status, answer.code) == (400, "FF00142")
        assert b"'tpoics'" in answer.body and b"topics" in answer.body


async def test_messages_are_listed_as_asked(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        for value in range(1, 6):
            tag: dict[str, Any] = {} if value % 2 else {"tag": "even"}
            await node.broadcast(value, topics=["odd" if value % 2 else "even"], **tag)
        for name, (query, values) in LISTS.items():
            found = await node.get("messages", fetchdata="", **query)
            assert [str(message["data"][0]["value"]) for message in found] == values.split(), name
        counted = await node.get("messages", count="", limit=2, tag="!even")
        assert (counted["count"], counted["total"], len(counted["items"])) == (2, 3, 2)
        assert list(counted) == ["count", "total", "items"]


async def test_a_message_leads_to_its_batch_pin_transaction_and_operations(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        message = await node.broadcast("x")
        id = message["header"]["id"]
        batch = await node.get(f"batches/{message['batch']}")
        assert [m["id"] for m in batch["manifest"]["messages"]] == [id] and batch["tx"]["id"] == message["txid"]
        (pin,) = await node.get("pins", batch=batch["id"])
        assert pin["dispatched"] is True and pin["batchHash"] == batch["hash"] and "masked" not in pin
        transaction = await node.get(f"messages/{id}/transaction")
        assert transaction == await node.get(f"transactions/{message['txid']}") and transaction["type"] == "batch_pin"
        made = await node.get(f"transactions/{message['txid']}/operations", sort="created,id")
        assert [(each["type"], each["status"]) for each in made] == [
            ("sharedstorage_upload_batch", "Succeeded"),
            ("blockchain_pin_batch", "Succeeded"),
        ]
        assert await node.get(f"operations/{made[0]['id']}") == made[0]


async def test_a_message_in_no_batch_has_no_transaction_yet(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("aggregator",)) as node:
        message = await node.broadcast("x", confirm=False)
        answer = await node.ask("GET", f"messages/{message['header']['id']}/transaction")
        assert (answer.status, answer.code) == (404, "FF10210")


NUL = b"\x00"
BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "nothing at all": (b"", 400, "FFD2101"),
    "no JSON": (b"{", 400, "FFD2101"),
    "no object": (b"[]", 400, "FFD2104"),
    "no UTF-8": (b'{"header":{"tag":"\xff"}}', 400, "FFD2102"),
    "a NUL in a text": (b'{"data":[{"value":"' + NUL + b'"}]}', 400, "FFD2101"),
    "data that is no list": (b'{"data":{"value":1}}', 400, "FFD2104"),
    "neither id nor value": (b'{"data":[{}]}', 400, "FF10205"),
    "data that is not here": (b'{"data":[{"id":"4ea27cce-a103-4187-b318-f7b20fd87bf3"}]}', 400, "FF10204"),
    "a reference that is no id": (b'{"data":[{"id":"x"}]}', 400, "FF00138"),
    "a cid that is no id": (b'{"header":{"cid":"x"},"data":[{"value":1}]}', 400, "FF00138"),
    "a tag that is no name": (b'{"header":{"tag":"a b"},"data":[{"value":1}]}', 400, "FF00140"),
    "a topic that is no name": (b'{"header":{"topics":["a\\n"]},"data":[{"value":1}]}', 400, "FF00140"),
    "a topic twice": (b'{"header":{"topics":["a","a"]},"data":[{"value":1}]}', 400, "FF00133"),
    "eleven topics": (
        json.dumps({"header": {"topics": [f"t{n}" for n in range(11)]}, "data": [{"value": 1}]}).encode(),
        400,
        "FF00134",
    ),
    "an unknown author": (b'{"header":{"author":"nobody"},"data":[{"value":1}]}', 400, "FF10206"),
    "a key that is not ours": (
        json.dumps({"header": {"author": "org0", "key": "ab" * 32}, "data": [{"value": 1}]}).encode(),
        400,
        "FFD2502",
    ),
    "a blob that is not here": (b'{"data":[{"blob":{"hash":"' + b"ab" * 32 + b'"}}]}', 404, "FF10239"),
    "a datatype that is not here": (
        b'{"data":[{"value":1,"datatype":{"name":"w","version":"1"}}]}',
        400,
        "FF10195",
    ),
    "a validator that is none": (b'{"data":[{"value":1,"validator":"x"}]}', 400, "FF00108"),
    "a long idempotency key": (
        json.dumps({"data": [{"value": 1}], "idempotencyKey": "k" * 257}).encode(),
        400,
        "FF00135",
    ),
    "a value too large for a batch": (json.dumps({"data": [{"value": "x" * 900_000}]}).encode(), 400, "FF10327"),
    "a body too large": (b" " * 2_000_000, 413, "FFD2007"),
    "a value too deep": (b'{"data":[{"value":' + b"[" * 10_001 + b"]" * 10_001 + b"}]}", 400, "FFD2103"),
}


async def test_what_is_wrong_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async with open_node(tmp_path, FFD_LIMITS__REQUEST_BYTES_MAX="1Mb") as node:
        for name, (body, status, code) in BAD_BODIES.items():
            answer = await node.ask("POST", f"{SEND}?confirm", JSON, body=body)
            assert (answer.status, answer.code) == (status, code), (name, answer.error)
        assert await node.get("messages", count="") == {"count": 0, "total": 0, "items": []}
        assert await node.get("data") == []
        await node.broadcast("still alive")


TYPES = {
    "none": (None, 415),
    "another": ("text/html", 415),
    "plain text": ("text/plain", 415),
    "a form": ("application/x-www-form-urlencoded", 415),
    "with a charset": ("application/json; charset=utf-8", 202),
    "in other letters": ("Application/JSON", 202),
}


async def test_a_body_must_say_that_it_is_json(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        for name, (type, status) in TYPES.items():
            headers = [f"Content-Type: {type}"] if type else []
            answer = await node.ask("POST", SEND, *headers, body=b'{"data":[{"value":1}]}')
            assert answer.status == status, name


async def test_unknown_fields_are_ignored_as_firefly_does(tmp_path: Path) -> None:
    async with open_node(tmp_path) as node:
        body = {
            "header": {"id": "x", "type": "private", "colour": 1},
            "state": "confirmed",
            "data": [{"value": 1, "n": 2}],
        }
        message = json.loads((await node.send("POST", SEND, body)).body)
        assert message["header"]["type"] == "broadcast" and message["state"] == "ready"


async def test_a_client_that_goes_away_while_it_waits_holds_nobody(tmp_path: Path) -> None:
    async with open_node(tmp_path, roles=("aggregator",)) as node:
        with trio.move_on_after(0.1):
            await node.broadcast("gone")
        assert [message["state"] for message in await node.get("messages")] == ["ready"]


BAD_QUERIES = {
    "a limit too large": ("limit=1001", "FF00192"),
    "a skip too large": ("skip=1001", "FF00191"),
    "an order that cannot be": ("tag=:>a", "FF00193"),
    "a time that is none": ("created=yesterday", "FF00143"),
    "a part of a number": ("sequence=@1", "FF00145"),
    "nothing to compare": ("tag=?@", "FF00144"),
    "a query of great length": ("tag=" + "x" * 33_000, "FF00135"),
}


@pytest.mark.parametrize("query, code", BAD_QUERIES.values(), ids=BAD_QUERIES)
async def test_a_bad_filter_is_refused(node: Node, query: str, code: str) -> None:
    answer = await node.ask("GET", f"messages?{query}")
    assert (answer.status, answer.code) == (400, code)


async def test_a_batch_of_a_type_that_nobody_knows_is_shown_as_it_came(node: Node) -> None:
    """Its author writes it: no word of it may become a part of our JSON."""
    member = node.parts.members["default"]
    odd = pack("odd", [sealed("message", ["t"], author="eve")], type='x","hash":"forged')
    arrivals = Arrivals(node.parts.world, member.namespace, member.storage.name)
    assert await node.parts.store.write(lambda tx: arrivals.record_payload(tx, odd.payload, odd.id, odd.hash))
    (shown,) = await node.get("batches")
    assert (shown["type"], shown["hash"]) == ('x","hash":"forged', odd.hash.hex())
