"""The worked examples of the reference on hashing, those that FireFly's tests and networks fix among them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ffd.model.batch import BatchHead, batch_json, manifest_json, parse_batch, payload_json, verify_batch
from ffd.model.canonical import canonical_json
from ffd.model.context import broadcast_context, nonce_key, private_context, private_pin
from ffd.model.data import BlobRef, DatatypeRef, data_hash, data_json, parse_refs, seal_data
from ffd.model.group import Member, check_group_hash, group_hash, sort_members
from ffd.model.ids import sha256
from ffd.model.message import Header, header_json, message_json, parse_header, seal, verify
from ffd.model.times import parse_time

EXAMPLES: dict[str, list[dict[str, Any]]] = json.loads((Path(__file__).parent / "examples.json").read_text())
ORG_0, ORG_1 = "did:firefly:org/org_0", "did:firefly:org/org_1"
G = "542b02f8b84fd961df8100984899d7dcee063d3c784340e3adb5059942c495ec"
MEMBERS = (Member(ORG_0, "248ba775-f595-40a6-a989-c2f2faae2dea"), Member(ORG_1, "3f1b6a5e-5f5c-4b0e-8f57-2b1a6c9d7e01"))
BLOB = b"hello blob\n"
DATA_1 = seal_data(
    "6d1c2f7e-3b52-4c0d-9a44-1f2e3d4c5b6a",
    parse_time("2024-03-01T12:00:00.123456789Z"),
    '{ "name": "Ada & <Bob>", "qty": 1.0 }',
)
DATA_2 = seal_data(
    "0f8fad5b-d9cb-469f-a165-70867728950e",
    parse_time("2024-03-01T12:00:00.5Z"),
    '{"filename":"hello.txt","mimetype":"text/plain"}',
    blob=BlobRef(sha256(BLOB).hex(), len(BLOB)),
)


def named(family: str, name: str) -> dict[str, Any]:
    return next(example for example in EXAMPLES[family] if example["name"] == name)


@pytest.mark.parametrize("example", EXAMPLES["values"], ids=lambda example: example["canonical"])
def test_values(example: dict[str, str]) -> None:
    assert canonical_json(example["text"]) == example["canonical"]
    assert sha256(example["canonical"].encode()).hex() == example["hash"]


def test_data_with_a_value() -> None:
    assert DATA_1.hash.hex() == "11208324dc533b12db4cbd320ef55ed6526493157b14e45fa557d8194cf22162"


def test_data_with_a_value_and_a_blob() -> None:
    hash, blob_hash = "ad5e1c07351a1838df7df76c84d56317bdb33b291b545a3e1f8c3fa09b25d07e", sha256(BLOB).hex()
    assert DATA_2.hash.hex() == hash
    assert data_json(DATA_2, namespace="default") == (
        f'{{"id":"0f8fad5b-d9cb-469f-a165-70867728950e","validator":"json","namespace":"default","hash":"{hash}",'
        '"created":"2024-03-01T12:00:00.5Z","value":{"filename":"hello.txt","mimetype":"text/plain"},'
        f'"blob":{{"hash":"{blob_hash}","size":11,"name":"hello.txt","path":"/"}}}}'
    )


def test_data_with_a_blob_only() -> None:
    blob_hash = sha256(BLOB).hex()
    blob = BlobRef(blob_hash, len(BLOB))
    data = seal_data(DATA_2.id, 0, None, validator="none", datatype=DatatypeRef("myblob"), blob=blob)
    assert data.hash.hex() == blob_hash
    end = f'"datatype":{{"name":"myblob"}},"value":null,"blob":{{"hash":"{blob_hash}","size":11,"name":""}}}}'
    assert data_json(data).endswith(end)


def test_the_rule_for_value_and_blob_as_firefly_s_test_fixes_it() -> None:
    """There the text is hashed as it stands, not compacted."""
    blob_hash = bytes.fromhex("bec1b07d757894d5f8b0d6f09530ef89cb2168b3c00df12efbb6cf3d2937e7e1")
    hash = data_hash('{\n\t\t\t"filename": "file.ext"\n\t\t}', blob_hash)
    assert hash.hex() == "8c58a0dc3b9d240e6e3066126e58f5853a18161733d2350f9e7488754e7160ec"


@pytest.mark.parametrize("example", EXAMPLES["messages"], ids=lambda example: example["name"])
def test_messages(example: dict[str, str]) -> None:
    header, refs = parse_header(example["header"]), parse_refs(example["data"])
    assert header.datahash == example["datahash"]
    assert header_json(header) == example["header"]
    verify(header, refs, bytes.fromhex(example["hash"]))
    draft = msgspec.structs.replace(header, datahash="", txtype="")
    assert seal(draft, refs).header_json == example["header"]


def test_a_message_sealed_from_what_its_author_gives() -> None:
    draft = Header(
        id="4ea27cce-a103-4187-b318-f7b20fd87bf4",
        author=ORG_0,
        key="0x7e3bb2198959d3a1c3ede9db1587560320ce8998",
        created="2024-03-01T12:00:02Z",
        namespace="default",
    )
    assert seal(draft, ()).hash.hex() == named("messages", "no data and no topics")["hash"]


@pytest.mark.parametrize("example", EXAMPLES["manifests"], ids=lambda example: example["name"])
def test_manifests(example: dict[str, str]) -> None:
    fields = json.loads(example["manifest"])
    listed = [(message["id"], message["hash"], message["topics"]) for message in fields["messages"]]
    refs = parse_refs(json.dumps(fields["data"]))
    text = manifest_json(fields["id"], fields["tx"]["type"], fields["tx"]["id"], listed, refs)
    assert text == example["manifest"]
    assert sha256(text.encode()).hex() == example["hash"]


def test_the_broadcast_payload_and_the_hash_that_older_senders_pin() -> None:
    message, manifest = named("messages", "two topics"), named("manifests", "broadcast")
    fields = json.loads(manifest["manifest"])
    assert DATA_2.blob is not None
    blob = msgspec.structs.replace(DATA_2.blob, public="QmRAQB6YaCyidP37UdDnjFY5vQuiBrcqdyoW1CuDgwxkD4")
    data = [
        data_json(DATA_1, form="broadcast"),
        data_json(msgspec.structs.replace(DATA_2, blob=blob), form="broadcast"),
    ]
    messages = [message_json(message["header"], bytes.fromhex(message["hash"]), message["data"])]
    payload = payload_json("batch_pin", fields["tx"]["id"], messages, data)
    assert sha256(payload.encode()).hex() == "f299c23c0f8c02600d79437966920b866794ff3d408ac92deea0ebd7c841fbc6"
    head = BatchHead(
        id=fields["id"],
        type="broadcast",
        namespace="default",
        node="248ba775-f595-40a6-a989-c2f2faae2dea",
        group=None,
        created=parse_time("2024-03-01T12:00:03.000000001Z"),
        author=ORG_0,
        key="0x7e3bb2198959d3a1c3ede9db1587560320ce8998",
        hash=bytes.fromhex(manifest["hash"]),
        tx_type="batch_pin",
        tx_id=fields["tx"]["id"],
    )
    raw = batch_json(head, messages, data)
    assert raw.decode() == (
        '{"id":"894bc0ea-0c2e-4ca4-bbca-b4c39a816bbb","type":"broadcast","namespace":"default",'
        '"node":"248ba775-f595-40a6-a989-c2f2faae2dea","created":"2024-03-01T12:00:03.000000001Z",'
        f'"author":"{ORG_0}","key":"0x7e3bb2198959d3a1c3ede9db1587560320ce8998","hash":"{manifest["hash"]}",'
        f'"payload":{payload}}}'
    )
    verify_batch(parse_batch(raw, 1 << 20), "default")


def test_groups() -> None:
    assert group_hash("default", "", sort_members(MEMBERS[::-1])).hex() == G
    member = Member("0x12345", "8b5c0d39-925f-4579-9c60-54f3e846ab99")
    fixed = bytes.fromhex("c2e5a42207ce2b48d67a4682a96f914ec0386acc13615550aa503b0841da8824")
    check_group_hash("ok", "ok", [member], fixed)


@pytest.mark.parametrize("example", EXAMPLES["contexts"], ids=lambda example: example["topic"])
def test_broadcast_contexts(example: dict[str, str]) -> None:
    assert broadcast_context(example["topic"]).hex() == example["context"]


def test_private_contexts() -> None:
    group = bytes.fromhex(G)
    assert private_context("widgets", group).hex() == "2bb4a3999f9c4e941f3861a8ddd5edda2557a5d333ace0ddf6a5a6b4bfdad7ba"
    assert private_context(G, group).hex() == "a10bad69d9a21fe7f9b242ae595e2a98c607dac008956785ed13bcabbda36910"
    assert nonce_key("widgets", group, ORG_1).hex() == (
        "c175d20da06689c58211d3e3885e53d4401f340b113d45eb49857ff1de9d825f"
    )
    pins = {
        ("widgets", ORG_0, 0): "fdf5d691c0580e8a44d242626acdfdc3683d4db29f2c22d1ecb3d824ed9e38cd",
        ("widgets", ORG_0, 1): "e75f7f779c6e65956a932f45b1cae159e0173542604c9a5b9757f54554e8571b",
        ("widgets", ORG_0, 12345): "9df01b8fb53e5ee7a41694d9e87864c8bdf96a1600c93889d96218f15dc98db9",
        (G, ORG_1, 0): "a9d2eed93820b471f09b4da0e74d118eb36b1acea91d7bb25a4a464426fe168a",
    }
    assert {key: private_pin(key[0], group, key[1], key[2]).hex() for key in pins} == pins
