"""Contexts: the ordered lines in which messages wait, as the 32 bytes that the ledger shows (FireFly 2.6, 2.7).

A broadcast's context is the hash of its topic, open to all. A private one takes in the group, and its pins a nonce, so
that outsiders cannot see which pins belong together. Nonces count from 0 per topic, group and author.
"""

from functools import lru_cache

from ffd.model.ids import sha256


@lru_cache(maxsize=4096)
def broadcast_context(topic: str) -> bytes:
    """The context of `topic` for broadcasts; also their pin."""
    return sha256(topic.encode())


def private_context(topic: str, group: bytes) -> bytes:
    """The context of `topic` within a group (its 32-byte hash)."""
    return sha256(topic.encode() + group)


def nonce_key(topic: str, group: bytes, author: str) -> bytes:
    """The key of the counter of an author (a DID) in a private context."""
    return sha256(topic.encode() + group + author.encode())


def private_pin(topic: str, group: bytes, author: str, nonce: int) -> bytes:
    """The masked pin: what the author's message number `nonce` in the context looks like on the ledger."""
    return sha256(topic.encode() + group + author.encode() + nonce.to_bytes(8, "big"))


def message_pin(pin: bytes, nonce: int) -> str:
    """An entry of `message.pins`: the pin in hex, `:`, and the nonce in at least 16 digits."""
    return f"{pin.hex()}:{nonce:016d}"
