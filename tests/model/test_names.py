"""Names, tags and topics are FireFly's."""

import json
from typing import Any

import pytest

from ffd.model.data import check_refs, parse_refs
from ffd.model.errors import Invalid
from ffd.model.message import Header, Sealed, parse_header, seal
from ffd.model.names import check_name, check_name_not_uuid, check_tag, check_topics
from tests.model.vectors import cases


def sealed_with(kind: str, value: Any) -> Sealed:
    match kind:
        case "tag":
            return seal(Header(tag=value), ())
        case "topics":
            return seal(Header(topics=tuple(value)), ())
        case "txtype":
            return seal(parse_header(json.dumps({"txtype": value})), ())
        case _:
            return seal(Header(), parse_refs(json.dumps(value)))


def check(kind: str, value: Any) -> object:
    match kind:
        case "name":
            return check_name(value, "name")
        case "name_not_uuid":
            return check_name_not_uuid(value, "name")
        case _:
            return sealed_with(kind, value)


@cases("names")
def test_a_name_is_taken_or_refused(given: dict[str, Any], expected: dict[str, Any]) -> None:
    kind, value = given["kind"], given["value"]
    if not expected["valid"]:
        with pytest.raises(Invalid, match=expected["code"]):
            check(kind, value)
        return
    done = check(kind, value)
    if isinstance(done, Sealed):
        assert list(done.header.topics) == expected.get("sealed_topics", ["default"])
        assert done.header.txtype == expected.get("sealed_txtype", "batch_pin")


@pytest.mark.parametrize("check", [check_topics, check_refs])
def test_nothing_stays_nothing(check: Any) -> None:
    assert tuple(check([])) == ()


def test_a_check_gives_back_what_it_checked() -> None:
    assert check_name("a", "x") == check_name_not_uuid("a", "x") == check_tag("a") == "a"
    assert check_tag("") == ""
    assert check_topics(["a", "b"]) == ("a", "b")


def test_a_refusal_names_the_field_and_the_value() -> None:
    with pytest.raises(Invalid) as refused:
        check_topics(["ok", "not ok"])
    assert (refused.value.code, "header.topics[1]" in refused.value.text, "'not ok'" in refused.value.text) == (
        "FF00140", True, True,
    )  # fmt: skip
    assert str(refused.value) == f"FF00140: {refused.value.text}"
