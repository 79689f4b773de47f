"""Batches: joined from stored texts, cut into them again, and checked by the rules that all members share."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ffd.model.batch import (
    Batch,
    BatchDropped,
    BatchHead,
    ContentDropped,
    batch_json,
    manifest_json,
    parse_batch,
    payload_json,
    verify_batch,
    wrapper_json,
)
from ffd.model.data import BlobRef, Data, data_json, parse_data, parse_refs, refs_json, seal_data
from ffd.model.group import Member
from ffd.model.ids import format_uuid, sha256
from ffd.model.message import Header, Sealed, header_json, message_json, parse_header, seal
from ffd.model.times import NS, parse_time
from tests.model.vectors import cases

MAX_BYTES = 1 << 20


def join(given: dict[str, Any]) -> tuple[BatchHead, str, list[str], list[str]]:
    """Head, manifest, message and data texts of a vector."""
    head, tx, messages, listed = given["batch"], given["tx"], [], []
    for message in map(json.loads, given["messages"]):
        header = parse_header(json.dumps(message["header"]))
        refs = refs_json(parse_refs(json.dumps(message["data"])))
        extra = {"pins": message.get("pins", ()), "txid": message.get("txid", "")}
        messages.append(message_json(header_json(header), bytes.fromhex(message["hash"]), refs, **extra))
        listed.append((header.id, message["hash"], len(header.topics)))
    data = [parse_data(text) for text in given["data"]]
    manifest = manifest_json(head["id"], tx["type"], tx["id"], listed, [item.ref for item in data])
    made = BatchHead(
        id=head["id"],
        type=head["type"],
        namespace=given["network_namespace"],
        node=head.get("node"),
        group=head.get("group"),
        created=parse_time(head["created"]),
        author=head["author"],
        key=head["key"],
        hash=sha256(manifest.encode()),
        tx_type=tx["type"],
        tx_id=tx["id"],
    )
    return made, manifest, messages, [data_json(item, form=head["type"]) for item in data]


@cases("batch_manifest")
def test_a_manifest_is_firefly_s(given: dict[str, Any], expected: dict[str, Any]) -> None:
    head, manifest, _, _ = join(given)
    assert manifest == expected["manifest_json"]
    assert head.hash.hex() == expected["hash"]


@cases("broadcast_payload")
def test_a_broadcast_payload_is_firefly_s(given: dict[str, Any], expected: dict[str, Any]) -> None:
    head, manifest, messages, data = join(given)
    raw = batch_json(head, messages, data)
    assert (manifest, head.hash.hex()) == (expected["manifest_json"], expected["hash"])
    assert raw.decode() == expected["payload_json"]
    batch = parse_batch(raw, MAX_BYTES)
    verify_batch(batch, given["network_namespace"])
    assert batch.head == head
    assert batch.manifest_json == manifest
    legacy = sha256(payload_json(head.tx_type, head.tx_id, messages, data).encode())
    assert legacy.hex() == batch.payload_hash.hex() == expected["legacy_payload_hash"]
    verify_batch(parse_batch(batch_json(replace(head, hash=legacy), messages, data), MAX_BYTES), head.namespace)


@cases("dx_wrapper")
def test_a_private_batch_is_wrapped_as_firefly_wraps_it(given: dict[str, Any], expected: dict[str, Any]) -> None:
    head, manifest, messages, data = join(given)
    raw = batch_json(head, messages, data)
    assert manifest == expected["manifest_json"]
    assert wrapper_json(raw, group_text(given)) == expected["wrapper_json"]
    verify_batch(parse_batch(raw, MAX_BYTES), given["network_namespace"])


def group_text(given: dict[str, Any]) -> str | None:
    group = given.get("include_group")
    if group is None:
        return None
    members = [Member(**member) for member in group["members"]]
    fields: dict[str, Any] = {
        "namespace": group["namespace"],
        "name": group["name"],
        "members": [{"identity": member.identity, "node": member.node} for member in members],
    }
    fields |= {key: group[key] for key in ("localNamespace", "message", "hash", "created") if key in group}
    return json.dumps(fields, separators=(",", ":"))


# A small batch to do harm to ------------------------------------------------------------------------------------------


def some_id(number: int) -> str:
    return format_uuid(number.to_bytes(16, "big"))


def a_head(manifest: str) -> BatchHead:
    return BatchHead(
        some_id(1),
        "broadcast",
        "net",
        None,
        None,
        0,
        "did:a",
        "key",
        sha256(manifest.encode()),
        "batch_pin",
        some_id(2),
    )


def a_batch(messages: list[Sealed], data: list[Data]) -> bytes:
    listed = [(sealed.header.id, sealed.hash.hex(), len(sealed.header.topics)) for sealed in messages]
    manifest = manifest_json(some_id(1), "batch_pin", some_id(2), listed, [item.ref for item in data])
    texts = [message_json(sealed.header_json, sealed.hash, sealed.refs_json) for sealed in messages]
    return batch_json(a_head(manifest), texts, [data_json(item, form="broadcast") for item in data])


def a_message(number: int, *data: Data, author: str = "did:a") -> Sealed:
    return seal(Header(id=some_id(number), author=author, key="key", namespace="net"), [item.ref for item in data])


ONE = seal_data(some_id(10), NS, '{"a": "<1>"}')
TWO = seal_data(some_id(11), NS, "2")
BLOB = seal_data(some_id(12), NS, None, blob=BlobRef(sha256(b"x").hex(), 1))


def received(raw: bytes) -> Batch:
    return parse_batch(raw, MAX_BYTES)


def test_a_good_batch_is_taken_with_its_texts() -> None:
    sealed = a_message(3, ONE, TWO)
    batch = received(a_batch([sealed, a_message(4, ONE)], [ONE, TWO, ONE]))
    verify_batch(batch, "net")
    first = batch.messages[0]
    assert (first.header, first.header_json, first.hash, first.refs_json) == (
        sealed.header,
        sealed.header_json,
        sealed.hash,
        sealed.refs_json,
    )
    assert first.refs == (ONE.ref, TWO.ref)
    assert batch.data == (ONE, TWO, ONE)


def test_values_keep_their_text_whatever_they_hold() -> None:
    deep = seal_data(some_id(20), NS, "[" * 5000 + '"\\ud800<"' + "]" * 5000)
    half = seal_data(some_id(21), NS, '{"\\udc00": "<d83d>", "\\ud83d\\ude00": "<#0>"}')
    batch = received(a_batch([a_message(3, deep, half)], [deep, half]))
    verify_batch(batch, "net")
    assert batch.data == (deep, half)
    assert batch.payload_hash == sha256(
        a_batch([a_message(3, deep, half)], [deep, half]).partition(b'"payload":')[2].removesuffix(b"}")
    )


GOOD = a_batch([a_message(3, ONE)], [ONE])
DROPPED: dict[str, tuple[Callable[[], bytes], str]] = {
    "not JSON": (lambda: GOOD[:-1], "FFD2101"),
    "not UTF-8": (lambda: GOOD.replace(b"did:a", b"did:\xff"), "FFD2102"),
    "not a batch": (lambda: b"[]", "FFD2104"),
    "empty": (lambda: b"{}", "FFD2105"),
    "too long": (lambda: GOOD + b" " * MAX_BYTES, "FF10377"),
    "other namespace": (lambda: GOOD.replace(b'"namespace":"net","created"', b'"namespace":"no","created"'), "FFD2105"),
    "no id": (lambda: GOOD.replace(b'{"id":', b'{"no":', 1), "FFD2105"),
    "bad id": (lambda: GOOD.replace(some_id(1).encode(), b"x"), "FF00138"),
    "no transaction": (lambda: GOOD.replace(b'"tx"', b'"no"'), "FFD2105"),
    "transaction type": (lambda: GOOD.replace(b'"tx":{"type":"batch_pin"', b'"tx":{"type":"none"'), "FFD2105"),
    "no message": (lambda: a_batch([], []), "FFD2105"),
    "null message": (lambda: GOOD.replace(b'"messages":[', b'"messages":[null,'), "FFD2104"),
    "other message": (lambda: GOOD.replace(some_id(3).encode(), some_id(5).encode()), "FFD2106"),
    "other hash of data": (lambda: GOOD.replace(ONE.hash.hex().encode(), TWO.hash.hex().encode()), "FFD2106"),
    "one more data": (lambda: GOOD.replace(b'"data":[{"id":"' + some_id(10).encode() + b'","v', b'"data":['
                      + data_json(TWO).encode() + b',{"id":"' + some_id(10).encode() + b'","v'), "FFD2106"),
}  # fmt: skip
CONTENT: dict[str, tuple[Callable[[], bytes], str]] = {
    "changed value": (lambda: GOOD.replace(b"\\u003c1", b"\\u003c2"), "FF10201"),
    "no value": (lambda: GOOD.replace(b'"value"', b'"v"'), "FF00109"),
    "blob without reference": (lambda: a_batch([a_message(3, BLOB)], [BLOB]), "FFD2109"),
    "other author": (lambda: a_batch([a_message(3, author="did:b")], []), "FFD2107"),
    "other key of the batch": (lambda: GOOD.replace(b'"key":"key","hash"', b'"key":"k","hash"'), "FFD2107"),
    "changed header": (lambda: GOOD.replace(b'"topics":["default"]', b'"topics":["other"]'), "FF00132"),
    "bad topic": (lambda: GOOD.replace(b'"topics":["default"]', b'"topics":["not ok"]'), "FF00140"),
    "bad type": (lambda: GOOD.replace(b'"txtype":"batch_pin"', b'"txtype":"none"'), "FF00130"),
    "missing data": (lambda: a_batch([a_message(3, ONE)], []), "FFD2108"),
    "unused data": (lambda: a_batch([a_message(3)], [ONE]), "FFD2108"),
}


@pytest.mark.parametrize("make, code", DROPPED.values(), ids=DROPPED)
def test_a_batch_in_doubt_is_dropped(make: Callable[[], bytes], code: str) -> None:
    with pytest.raises(BatchDropped) as refused:
        verify_batch(received(make()), "net")
    assert refused.value.code == code


@pytest.mark.parametrize("make, code", CONTENT.values(), ids=CONTENT)
def test_content_that_breaks_a_rule_is_dropped_but_not_the_batch(make: Callable[[], bytes], code: str) -> None:
    with pytest.raises(ContentDropped) as refused:
        verify_batch(received(make()), "net")
    assert refused.value.code == code


def test_a_blob_that_is_here_needs_no_reference() -> None:
    assert BLOB.blob is not None
    verify_batch(received(a_batch([a_message(3, BLOB)], [BLOB])), "net", local_blobs={BLOB.blob.hash})


def test_a_batch_must_be_shorter_than_the_limit() -> None:
    parse_batch(GOOD, len(GOOD) + 1)
    with pytest.raises(BatchDropped, match="FF10377"):
        parse_batch(GOOD, len(GOOD))
