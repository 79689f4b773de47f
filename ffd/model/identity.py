"""Identities: the topics on which definitions are ordered, and what a key is filed under (FireFly reference 2.9)."""

from ffd.model.ids import sha256


def identity_topic(did: str) -> str:
    """The topic of an identity's claim, verification and updates."""
    return sha256(did.encode()).hex()


def definition_topic(kind: str, namespace: str, name: str) -> str:
    """The topic of a definition: `kind` is `datatype`, `tokenpool`, `contractapi` or `ffi`.

    Networks of version 2 define with an empty `namespace`.
    """
    return sha256(f"{kind}{namespace}{name}".encode()).hex()


def verifier_hash(namespace: str, kind: str, value: str) -> bytes:
    """What a key is filed under: `namespace` is the local one, `kind` such as `ethereum_address`."""
    return sha256(f"{namespace}{kind}{value}".encode())
