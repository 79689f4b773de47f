"""Data items: hashed by value and blob, written in three forms."""

from typing import Any

import pytest

from ffd.model.data import (
    BlobRef,
    Data,
    DataRef,
    DatatypeRef,
    blob_name,
    blob_path,
    data_hash,
    data_json,
    parse_data,
    parse_refs,
    refs_json,
    seal_data,
)
from ffd.model.errors import Invalid
from ffd.model.ids import sha256
from ffd.model.times import parse_time
from tests.model.vectors import cases

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
HASH = "11" * 32


def sealed(given: dict[str, Any]) -> Data:
    text, blob = given["blob_text"], None
    if text is not None:
        blob = BlobRef(sha256(text.encode()).hex(), len(text.encode()), public=given.get("blob_public", ""))
    return seal_data(
        given["id"],
        parse_time(given["created"]),
        given["value_text"],
        validator=given.get("validator", ""),
        datatype=DatatypeRef(**given["datatype"]) if "datatype" in given else None,
        blob=blob,
    )


@cases("data")
def test_data_is_sealed_and_written_as_firefly_does(given: dict[str, Any], expected: dict[str, Any]) -> None:
    if not expected["valid"]:
        with pytest.raises(Invalid, match=expected["code"]):
            sealed(given)
        return
    data = sealed(given)
    assert data.hash.hex() == expected["hash"]
    assert data_json(data) == expected["stored_json"]
    assert data_json(data, form="broadcast") == expected["broadcast_json"]
    assert data_json(data, form="private") == expected["private_json"]
    assert parse_data(expected["stored_json"]) == data


def test_the_local_namespace_and_the_public_reference_stay_at_home() -> None:
    data = Data(id=ID, hash=bytes(32), created=0, value="1", public="Qm<1>")
    start = f'{{"id":"{ID}","validator":"json"'
    assert data_json(data, namespace="n<s") == (
        f'{start},"namespace":"n\\u003cs","hash":"{"00" * 32}","value":1,"public":"Qm\\u003c1\\u003e"}}'
    )
    assert data_json(data, namespace="ns", form="broadcast") == f'{start},"hash":"{"00" * 32}","value":1}}'


def test_data_that_arrives_is_brought_to_normal_form() -> None:
    data = parse_data(
        f'{{"id":"{ID.upper()}","hash":"0x{"AB" * 32}","validator":"JSON","created":"2024-03-01T14:00:00+02:00",'
        f'"value": {{ "a" : "<\\ud800" }},"datatype":{{"name":"w"}},"unknown":[1],'
        f'"blob":{{"hash":"{HASH}","size":3,"name":null}}}}'
    )
    assert data == Data(
        id=ID,
        hash=bytes.fromhex("ab" * 32),
        created=parse_time("2024-03-01T12:00:00Z"),
        value='{"a":"\\u003c\\ud800"}',
        datatype=DatatypeRef("w", ""),
        blob=BlobRef(HASH, 3),
    )
    assert data.ref == DataRef(ID, "ab" * 32)


@pytest.mark.parametrize(
    "text, code",
    [
        (f'{{"id":"{ID}"}}', "FF00128"),
        (f'{{"hash":"{HASH}"}}', "FF00128"),
        (f'{{"id":"{ID}","hash":"{HASH}","validator":"xml"}}', "FF00108"),
        (f'{{"id":"{ID}","hash":"{HASH}","created":"9999-01-01T00:00:00Z"}}', "FF00136"),
        (f'{{"id":"{ID}","hash":"{HASH}","created":1}}', "FFD2104"),
        (f'{{"id":"{ID}","hash":"{HASH}","blob":{{"size":9223372036854775808}}}}', "FFD2104"),
        ('{"id":"x"', "FFD2101"),
    ],
)
def test_data_that_makes_no_sense_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        parse_data(text)


@pytest.mark.parametrize(
    "value, name",
    [
        ('{"name":1e21}', "1000000000000000000000"),
        ('{"name":123456789012345678901}', "123456789012345680000"),
        ('{"name":-0.25}', "-0.25"),
        ('{"name":100}', "100"),
        ('{"name":false}', "false"),
        ('{"name":"\\ud800"}', ""),
        ('{"path":"a","filename":"f","deep":' + "[" * 5000 + "]" * 5000 + "}", "a/f"),
        ("[" * 5000 + "]" * 5000, ""),
        ("[]", ""),
    ],
)
def test_a_blob_is_named_by_its_value(value: str, name: str) -> None:
    assert blob_name(value) == name


def test_a_blob_lies_in_the_folder_of_its_name() -> None:
    names = {"": "", "f": "/", "/f": "/", "a/b/f": "/a/b", "/a/b/f": "/a/b", "dir/": "/dir"}
    assert {name: blob_path(name) for name in names} == names


def test_a_null_value_counts_as_none() -> None:
    assert data_hash("null", bytes(32)) == data_hash(None, bytes(32)) == bytes(32)


def test_references_come_back_from_their_text() -> None:
    refs = (DataRef(ID, HASH), DataRef(ID[:-1] + "0", HASH))
    assert parse_refs(refs_json(refs)) == refs
    assert parse_refs("[null,{}]") == (DataRef("", ""), DataRef("", ""))
    assert refs_json([]) == "[]"
