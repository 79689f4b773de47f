"""Messages: one text per header on every member, sealed by the sender, verified by the others."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given as any_of
from hypothesis import strategies as some

from ffd.model.data import DataRef, parse_refs, refs_json
from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid
from ffd.model.message import Header, TxParent, header_json, message_json, parse_header, seal, verify
from ffd.model.times import NS, format_time
from tests.model.vectors import cases

ids = some.binary(min_size=16, max_size=16).map(format_uuid)
hashes = some.binary(min_size=32, max_size=32).map(bytes.hex)
texts = some.text(some.characters(codec="utf-8"), max_size=20)
names = some.from_regex(r"[0-9a-zA-Z]([0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?", fullmatch=True)
headers = some.builds(
    Header,
    id=ids,
    cid=some.just("") | ids,
    type=some.sampled_from(["broadcast", "private", "definition", "groupinit"]),
    txtype=some.sampled_from(["batch_pin", "unpinned", "contract_invoke_pin"]),
    author=texts,
    key=texts,
    created=some.integers(0, 4_000_000_000 * NS).map(format_time),
    namespace=texts,
    group=some.just("") | hashes,
    topics=some.lists(names, min_size=1, max_size=10, unique=True).map(tuple),
    tag=some.just("") | names,
    datahash=hashes,
    txparent=some.none() | some.builds(TxParent, type=some.just("token_transfer"), id=some.just("") | ids),
)
refs = some.lists(some.builds(DataRef, ids, hashes), max_size=4, unique_by=lambda ref: ref.id)


@cases("message")
def test_a_message_is_sealed_as_firefly_seals_it(given: dict[str, Any], expected: dict[str, Any]) -> None:
    header, data = parse_header(json.dumps(given["header"])), parse_refs(json.dumps(given["data"]))
    assert refs_json(data) == expected["data_json"]
    if "seal_error" in expected:
        refused_header = msgspec.structs.replace(header, datahash=expected["datahash"])
        assert header_json(refused_header) == expected["header_json"]
        with pytest.raises(Invalid, match=expected["seal_error"]):
            seal(header, data)
        with pytest.raises(Invalid, match=expected["seal_error"]):
            verify(refused_header, data, bytes.fromhex(expected["hash"]))
        return
    sealed = seal(header, data)
    assert sealed.header.datahash == expected["datahash"]
    assert sealed.header_json == expected["header_json"]
    assert sealed.hash.hex() == expected["hash"]
    in_batch = message_json(sealed.header_json, sealed.hash, sealed.refs_json, pins=given.get("pins", ()))
    assert in_batch == expected["message_json"]
    verify(sealed.header, data, sealed.hash)


@any_of(headers)
def test_a_header_comes_back_from_its_text(header: Header) -> None:
    assert parse_header(header_json(header)) == header


@any_of(headers, refs)
def test_what_is_sealed_is_verified_and_sealing_again_changes_nothing(header: Header, data: list[DataRef]) -> None:
    sealed = seal(header, data)
    verify(sealed.header, data, sealed.hash)
    verify(parse_header(sealed.header_json), parse_refs(sealed.refs_json), sealed.hash)
    assert seal(sealed.header, data) == sealed


@any_of(headers, headers, refs, some.sampled_from(Header.__struct_fields__))
def test_no_field_of_a_header_can_be_changed(mine: Header, other: Header, data: list[DataRef], field: str) -> None:
    sealed = seal(mine, data)
    changed = msgspec.structs.replace(sealed.header, **{field: getattr(other, field)})
    if changed == sealed.header:
        return
    with pytest.raises(Invalid, match="FF00132"):
        verify(changed, data, sealed.hash)


@any_of(headers, refs, some.data())
def test_no_reference_can_be_changed(header: Header, data: list[DataRef], choice: some.DataObject) -> None:
    sealed = seal(header, data)
    others = choice.draw(refs.filter(lambda found: found != data))
    with pytest.raises(Invalid, match="FF00132"):
        verify(sealed.header, others, sealed.hash)


def test_a_message_needs_both_hashes() -> None:
    sealed = seal(Header(), ())
    for header, hash in ((sealed.header, b""), (msgspec.structs.replace(sealed.header, datahash=""), sealed.hash)):
        with pytest.raises(Invalid, match="FF00131"):
            verify(header, (), hash)


def test_a_stored_message_is_shown_with_all_that_is_known_of_it() -> None:
    sealed = seal(Header(), ())
    shown = message_json(
        sealed.header_json,
        sealed.hash,
        sealed.refs_json,
        local_namespace="<ns>",
        batch="894bc0ea-0c2e-4ca4-bbca-b4c39a816bbb",
        txid="8d3f06b8-adb5-4745-a536-a9e262fd2e9f",
        state="rejected",
        confirmed=1_709_294_400 * NS,
        reject_reason="no & no",
        pins=["a:0", "b:1"],
        idempotency_key='k"1',
    )
    assert list(json.loads(shown)) == [
        "header", "localNamespace", "hash", "batch", "txid", "state", "confirmed", "rejectReason", "data", "pins",
        "idempotencyKey",
    ]  # fmt: skip
    assert '"rejectReason":"no \\u0026 no","data":[],"pins":["a:0","b:1"],"idempotencyKey":"k\\"1"' in shown


@pytest.mark.parametrize(
    "text, code",
    [
        ('{"id":"x"}', "FF00138"),
        ('{"id":1}', "FFD2104"),
        ('{"group":"ab"}', "FF00107"),
        ('{"created":"now"}', "FF00136"),
        ('{"created":1709294400}', "FFD2104"),
        ('{"topics":"a"}', "FFD2104"),
        ("[]", "FFD2104"),
        ("{", "FFD2101"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        parse_header(text)


def test_null_and_unknown_fields_are_as_absent() -> None:
    fields = ",".join([f'"{name}":null' for name in Header.__struct_fields__])
    assert parse_header(f'{{{fields},"extra":{{"a":[1]}}}}') == Header(type="")
    assert header_json(Header(type="")) == '{"type":""}'


def test_long_fields_are_written_like_short_ones() -> None:
    header = Header(author="<" * 600, namespace="&" * 600, topics=tuple("abcdef"))
    assert json.loads(header_json(header)) == {
        "type": "broadcast", "author": "<" * 600, "namespace": "&" * 600, "topics": list("abcdef"),
    }  # fmt: skip
