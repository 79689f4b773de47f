"""The messages that are made from the command line, from lines and from objects."""

import json
from typing import Any

import pytest

from ffctl.failure import Failure
from ffctl.message import Envelope

PLAIN = Envelope()
FULL = Envelope(("a", "b"), "tag", "4ea27cce-a103-4187-b318-f7b20fd87bf3", "key")


def test_a_text_is_a_string_whatever_is_in_it() -> None:
    for text in ("hello", 'say "hi"', "\x00\x1b\n", "{}", "Grüße", "\u2028"):
        assert json.loads(PLAIN.of_text(text)) == {"header": {}, "data": [{"value": text}]}


def test_the_command_line_is_in_every_message() -> None:
    assert json.loads(FULL.of_text("x", "key:1")) == {
        "header": {"topics": ["a", "b"], "tag": "tag", "cid": "4ea27cce-a103-4187-b318-f7b20fd87bf3"},
        "data": [{"value": "x"}],
        "idempotencyKey": "key:1",
    }


def test_a_json_value_keeps_its_digits() -> None:
    assert '"value":{"a": 1.50, "b": 12345678901234567890}' in PLAIN.of_json('{"a": 1.50, "b": 12345678901234567890}')
    assert '"value":1.50' in PLAIN.of_object('{"value":1.50}')


@pytest.mark.parametrize("raw", ["", "{", "1,2", "nope", '"a" "b"', '"\x01"', "[" * 100_000])
def test_what_is_not_json_is_refused_before_it_is_sent(raw: str) -> None:
    with pytest.raises(Failure, match="is not JSON"):
        PLAIN.of_json(raw)


OBJECTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a value": ('{"value":1}', {"header": {"topics": ["a", "b"], "tag": "tag"}, "data": [{"value": 1}]}),
    "its own topic": (
        '{"topic":"t","value":null}',
        {"header": {"topics": ["t"], "tag": "tag"}, "data": [{"value": None}]},
    ),
    "its topics and tag": (
        '{"topics":["x"],"tag":"y","value":[]}',
        {"header": {"topics": ["x"], "tag": "y"}, "data": [{"value": []}]},
    ),
    "FireFly's own": (
        '{"header":{"tag":"z","txtype":"unpinned"},"data":[{"value":1},{"value":2}]}',
        {"header": {"topics": ["a", "b"], "tag": "z", "txtype": "unpinned"}, "data": [{"value": 1}, {"value": 2}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "message"), OBJECTS.values(), ids=OBJECTS)
def test_an_object_says_what_the_command_line_does_not(line: str, message: dict[str, Any]) -> None:
    assert json.loads(Envelope(("a", "b"), "tag").of_object(line)) == message


def test_an_objects_own_idempotency_key_counts() -> None:
    assert json.loads(PLAIN.of_object('{"value":1,"idempotencyKey":"mine"}', "p:1"))["idempotencyKey"] == "mine"
    assert json.loads(PLAIN.of_object('{"value":1}', "p:1"))["idempotencyKey"] == "p:1"


@pytest.mark.parametrize("line", ["1", "{}", '{"value":1,"data":[]}', '{"valu":1}', '{"value":1,"topic":2}', "[]", "{"])
def test_an_object_that_is_no_message_is_refused(line: str) -> None:
    with pytest.raises(Failure, match="FFD6007"):
        PLAIN.of_object(line)


@pytest.mark.parametrize("value", ['"\\ud800"', "[" * 2000 + "]" * 2000])
def test_a_value_that_json_allows_and_few_can_read_is_sent_as_it_is(value: str) -> None:
    assert f'"value":{value}' in PLAIN.of_json(value)


@pytest.mark.parametrize("value", ["", '"a', "1 2", "NaN", "{a"])
def test_a_value_that_is_no_json_is_refused(value: str) -> None:
    with pytest.raises(Failure, match="FFD6007.*is not JSON"):
        PLAIN.of_json(value)
