"""Contexts and pins are what the ledger of every member shows."""

from typing import Any

from ffd.model.context import broadcast_context, message_pin, nonce_key, private_context, private_pin
from tests.model.vectors import cases


@cases("context")
def test_a_context_is_firefly_s(given: dict[str, str], expected: dict[str, Any]) -> None:
    topic = given["topic"]
    if "group" not in given:
        assert broadcast_context(topic).hex() == expected["context"]
        return
    group, author, nonce = bytes.fromhex(given["group"]), given["author"], int(given["nonce"])
    pin = private_pin(topic, group, author, nonce)
    assert private_context(topic, group).hex() == expected["context"]
    assert nonce_key(topic, group, author).hex() == expected["nonce_key"]
    assert pin.hex() == expected["pin"]
    assert message_pin(pin, nonce) == expected["message_pin"]
