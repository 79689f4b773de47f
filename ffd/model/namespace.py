"""A namespace as this node takes part in it: its names, and who the node is there."""

from __future__ import annotations

import msgspec

LEDGER_VERIFIER = "ed25519_public_key"
"""The type of a verifier whose value is an Ed25519 public key in lower-case hex: who signs on the embedded ledger."""

EVERY_NAMESPACE = "*"
"""All namespaces of a node at once, where one could be named. No namespace can be called so."""


def org_did(name: str) -> str:
    """The DID of an organisation."""
    return f"did:firefly:org/{name}"


def node_did(name: str) -> str:
    """The DID of a node."""
    return f"did:firefly:node/{name}"


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """One namespace. `number` is its row here, `name` local, `network_name` what the other members call it.

    `author` and `key` sign what is sent without naming an author: the root organisation's DID and ledger key.
    """

    number: int
    name: str
    network_name: str
    created: int
    org_id: bytes
    org_name: str
    node_id: bytes
    node_name: str
    author: str
    key: str


EVERYWHERE = Namespace(
    number=0, name=EVERY_NAMESPACE, network_name=EVERY_NAMESPACE, created=0, org_id=b"", org_name="", node_id=b"",
    node_name="", author="", key="",
)  # fmt: skip
"""What stands for all namespaces of the node: it has subscriptions of its own, and everybody's events."""
