"""Events as FireFly writes them (reference 1.4, 3.5, 9.3), to the last byte."""

import json
from typing import Any

from ffd.delivery.enrich import EncodedEvent, read_page
from ffd.model.ids import sha256
from tests.delivery.eventlog import EventLog, text

AT, CONFIRMED = "2024-03-01T12:00:07.5Z", "2024-03-01T12:00:07.4Z"
HASH_1 = sha256(b'{"b":1.50,"a":"\\u003c"}').hex()
HASH_2 = sha256(b"7").hex()


def read(log: EventLog, *, with_data: bool = False) -> list[EncodedEvent]:
    return log.store.peek(lambda tx: read_page(tx, 0, 100, with_data=with_data))


def shown(log: EventLog, *, with_data: bool = False) -> list[str]:
    """The JSON of each event, closed."""
    return [event.text + "}" for event in read(log, with_data=with_data)]


def header(name: str, cid: str = "") -> str:
    """The text of a message's header: the bytes that were hashed."""
    correlator = f'"cid":"{text(cid)}",' if cid else ""
    refs = (
        f'[{{"id":"{text(f"data of {name}")}","hash":"{HASH_1}"}},'
        f'{{"id":"{text(f"more data of {name}")}","hash":"{HASH_2}"}}]'
    )
    return (
        f'{{"id":"{text(name)}",{correlator}"type":"broadcast","txtype":"batch_pin","author":"did:firefly:org/o",'
        f'"key":"0xkey","created":"2024-03-01T12:00:00Z","namespace":"net","topics":["widgets","a.b"],"tag":"t",'
        f'"datahash":"{sha256(refs.encode()).hex()}"}}'
    )


def test_the_texts_of_this_test_are_what_was_hashed() -> None:
    assert json.loads(header("m1"))["id"] == text("m1")


async def test_a_confirmed_message(log: EventLog, autojump_clock: object) -> None:
    await log.finish("m1", key="k<1>")
    tx, batch, head = text("tx of batch of m1"), text("batch of m1"), header("m1")
    assert shown(log) == [
        f'{{"id":"{text(f"m1 on {topic}")}","sequence":{sequence},"type":"message_confirmed","namespace":"local",'
        f'"reference":"{text("m1")}","tx":"{tx}","topic":"{topic}","created":"{AT}",'
        f'"message":{{"header":{head},"localNamespace":"local","hash":"{sha256(head.encode()).hex()}",'
        f'"batch":"{batch}","txid":"{tx}","state":"confirmed","confirmed":"{CONFIRMED}",'
        f'"data":[{{"id":"{text("data of m1")}","hash":"{HASH_1}"}},'
        f'{{"id":"{text("more data of m1")}","hash":"{HASH_2}"}}],"idempotencyKey":"k\\u003c1\\u003e"}}}}'
        for sequence, topic in enumerate(("widgets", "a.b"), 1)
    ]


async def test_a_rejected_message_that_answers_another(log: EventLog, autojump_clock: object) -> None:
    await log.finish("m2", reason='FF10452: "why"', cid="m1")
    tx, batch, head = text("tx of batch of m2"), text("batch of m2"), header("m2", "m1")
    assert shown(log)[0] == (
        f'{{"id":"{text("m2 on widgets")}","sequence":1,"type":"message_rejected","namespace":"local",'
        f'"reference":"{text("m2")}","correlator":"{text("m1")}","tx":"{tx}","topic":"widgets","created":"{AT}",'
        f'"message":{{"header":{head},"localNamespace":"local","hash":"{sha256(head.encode()).hex()}",'
        f'"batch":"{batch}","txid":"{tx}","state":"rejected","confirmed":"{CONFIRMED}",'
        f'"rejectReason":"FF10452: \\"why\\"","data":[{{"id":"{text("data of m2")}","hash":"{HASH_1}"}},'
        f'{{"id":"{text("more data of m2")}","hash":"{HASH_2}"}}]}}}}'
    )


async def test_a_message_with_its_values(log: EventLog, autojump_clock: object) -> None:
    """The values are the sender's own text; without them, the event is the same."""
    await log.finish("m1")
    with_values, without = shown(log, with_data=True)[0], shown(log)[0]
    first = f'{{"id":"{text("data of m1")}","hash":"{HASH_1}","validator":"json","value":{{"b":1.50,"a":"\\u003c"}}}}'
    second = (
        f'{{"id":"{text("more data of m1")}","hash":"{HASH_2}","validator":"none",'
        f'"datatype":{{"name":"tea","version":"1.0"}},"value":7}}'
    )
    assert f'"data":[{first},{second}]' in with_values
    stripped: Any = json.loads(with_values)
    for item in stripped["message"]["data"]:
        for field in ("validator", "value", "datatype"):
            item.pop(field, None)
    assert stripped == json.loads(without)


async def test_a_message_without_data(log: EventLog, autojump_clock: object) -> None:
    await log.finish("m1", data=False)
    assert '"data":[]' in shown(log)[0] and '"data":[]' in shown(log, with_data=True)[0]


async def test_a_submitted_transaction(log: EventLog, autojump_clock: object) -> None:
    await log.submit("t1", "0xBB", "0xaa")
    tx = text("t1")
    assert shown(log) == [
        f'{{"id":"{text("t1 is made")}","sequence":1,"type":"transaction_submitted","namespace":"local",'
        f'"reference":"{tx}","tx":"{tx}","topic":"batch_pin","created":"{AT}",'
        f'"transaction":{{"id":"{tx}","namespace":"local","type":"batch_pin","created":"2024-03-01T12:00:00Z",'
        f'"blockchainIds":["0xaa","0xbb"]}}}}'
    ]


async def test_a_transaction_that_the_ledger_has_not_seen(log: EventLog, autojump_clock: object) -> None:
    await log.submit("t1")
    assert shown(log)[0].endswith(
        f'"transaction":{{"id":"{text("t1")}","namespace":"local","type":"batch_pin",'
        f'"created":"2024-03-01T12:00:00Z"}}}}'
    )


async def test_a_pin_on_the_ledger(log: EventLog, autojump_clock: object) -> None:
    await log.pin("b1", "firefly:batch_pin", bytes([1]) * 32, bytes([2]) * 32, bytes([1]) * 32)
    tx, batch = text("tx of b1"), text("b1")
    uuids = (tx + batch).replace("-", "")
    assert json.loads(shown(log)[0]) == {
        "id": text("b1 is pinned"), "sequence": 1, "type": "blockchain_event_received", "namespace": "local",
        "reference": text("pin of b1"), "tx": tx, "topic": "ff_batch_pin", "created": AT,
        "blockchainEvent": {
            "id": text("pin of b1"), "source": "ledger0", "namespace": "local", "name": "BatchPin",
            "protocolId": "000000000041",
            "output": {
                "author": "0xsigner", "batchHash": f"0x{sha256(b'b1').hex()}",
                "contexts": [f"0x{'01' * 32}", f"0x{'02' * 32}", f"0x{'01' * 32}"],
                "namespace": "firefly:batch_pin", "payloadRef": "payload/<ref>", "timestamp": "1709294405",
                "uuids": f"0x{uuids}",
            },
            "timestamp": "2024-03-01T12:00:05Z",
            "tx": {"type": "batch_pin", "id": tx, "blockchainId": "ab" * 32},
        },
    }  # fmt: skip
    order = ["id", "source", "namespace", "name", "protocolId", "output", "timestamp", "tx"]
    assert list(json.loads(shown(log)[0])["blockchainEvent"]) == order
    assert "payload/\\u003cref\\u003e" in shown(log)[0], "escaped as Go does"


async def test_a_pin_of_a_contract_says_so(log: EventLog, autojump_clock: object) -> None:
    await log.pin("b1", "firefly:contract_invoke_pin", bytes(32))
    assert json.loads(shown(log)[0])["blockchainEvent"]["tx"]["type"] == "contract_invoke_pin"


async def test_an_event_whose_object_is_gone_is_still_an_event(log: EventLog, autojump_clock: object) -> None:
    for type in ("message_confirmed", "transaction_submitted", "blockchain_event_received", "identity_confirmed"):
        await log.tell(1, type)
    for sequence, one in enumerate(shown(log, with_data=True), 1):
        name = f"event {sequence}"
        assert json.loads(one) == {
            "id": text(name), "sequence": sequence, "type": json.loads(one)["type"], "namespace": "local",
            "reference": text(name), "created": AT,
        }  # fmt: skip


async def test_what_filters_look_at(log: EventLog, autojump_clock: object) -> None:
    await log.finish("m1")
    await log.submit("t1")
    await log.pin("b1", "firefly:batch_pin", bytes(32))
    seen = [
        (event.topic, event.header.tag, event.header.author, event.tx_type, event.blockchain_name)
        for event in read(log)
    ]
    assert seen == [
        ("widgets", "t", "did:firefly:org/o", "", ""),
        ("a.b", "t", "did:firefly:org/o", "", ""),
        ("batch_pin", "", "", "batch_pin", ""),
        ("ff_batch_pin", "", "", "", "BatchPin"),
    ]
