"""Ids and hashes: read in every spelling of FireFly's, printed in one."""

import uuid

import pytest
from hypothesis import given as any_of
from hypothesis import strategies as some

from ffd.model.errors import Invalid
from ffd.model.ids import format_uuid, normal_hash, normal_uuid, parse_hash, parse_uuid, sha256

ID = "8b5c0d39-925f-4579-9c60-54f3e846ab99"


@any_of(some.binary(min_size=16, max_size=16))
def test_an_id_comes_back_from_its_text(raw: bytes) -> None:
    text = format_uuid(raw)
    assert text == str(uuid.UUID(bytes=raw))
    assert parse_uuid(text) == parse_uuid(text.upper()) == raw
    assert normal_uuid(text.upper()) == normal_uuid(text) == text


@any_of(some.binary(min_size=32, max_size=32))
def test_a_hash_comes_back_from_its_text(raw: bytes) -> None:
    assert parse_hash(raw.hex()) == parse_hash("0x" + raw.hex().upper()) == raw
    assert normal_hash("0x" + raw.hex().upper()) == normal_hash(raw.hex()) == raw.hex()


@pytest.mark.parametrize(
    "text",
    [ID, ID.upper(), ID.replace("-", ""), "urn:uuid:" + ID, "URN:UUID:" + ID, "{" + ID + "}", "x" + ID + "y"],
)
def test_an_id_is_read_as_firefly_reads_it(text: str) -> None:
    assert format_uuid(parse_uuid(text)) == ID


@pytest.mark.parametrize(
    "text",
    ["", ID[:-1], ID + "0", ID[:-1] + "g", ID.replace("-", " "), "urn:uuid;" + ID, " " + ID, ID + "\n",
     ID[:-1] + "\u0661", ID.replace("-", "_"), "é" + ID + "é", "é" + ID, "uuid", ID.replace("-", "")[:-1] + " "],
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="FF00138"):
        parse_uuid(text)


@pytest.mark.parametrize(
    "text, code",
    [("", "FF00107"), ("ab", "FF00107"), ("ab" * 33, "FF00107"), ("zz" * 32, "FF00106"), ("a" * 63, "FF00106"),
     (" " * 64, "FF00106"), ("ab" * 31 + "a\n", "FF00106"), ("0X" + "ab" * 32, "FF00106")],
)  # fmt: skip
def test_what_is_no_hash_is_refused(text: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        parse_hash(text)


def test_the_hash_is_sha256() -> None:
    assert sha256(b"[]").hex() == "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
