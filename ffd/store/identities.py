"""Identities: who takes part in a namespace, and the keys that prove it.

An identity with a claim was confirmed from the ledger, and all members know it. One without is this node's own word, on
itself: it gives way to whatever the network confirms.
"""

from __future__ import annotations

from typing import NamedTuple

from ffd.model.identity import DX_VERIFIER, verifier_hash
from ffd.store.transaction import Transaction

ORG, NODE, CUSTOM = "org", "node", "custom"
COLUMNS = """
            i.id, i.did, i.type, i.parent, i.name, i.description, i.created, i.profile, i.claim, i.verification,
            i."update", i.updated"""


class IdentityRow(NamedTuple):
    """One identity; `id`, `parent` and the ids of its three messages are 16 bytes, `profile` is JSON text."""

    id: bytes
    did: str
    type: str
    parent: bytes | None
    name: str
    description: str | None
    created: int
    profile: str | None = None
    claim: bytes | None = None
    verification: bytes | None = None
    update: bytes | None = None
    updated: int | None = None


class VerifierRow(NamedTuple):
    """A key, or another thing that proves an identity."""

    hash: bytes
    identity: bytes
    type: str
    value: str
    created: int


def register(tx: Transaction, namespace: int, identity: IdentityRow) -> bytes:
    """Record an identity unless its DID is known; the id of the one that has it."""
    found: bytes | None = tx.value(
        "SELECT id FROM identities WHERE namespace = ? AND did = ?", (namespace, identity.did)
    )
    if found is None:
        add(tx, namespace, identity)
    return identity.id if found is None else found


def add(tx: Transaction, namespace: int, identity: IdentityRow) -> None:
    """Store an identity of which neither id nor DID is known."""
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM identities")
    tx.execute(
        """
        INSERT INTO identities (sequence, namespace, id, did, type, parent, name, description, created, profile, claim,
                                verification, "update", updated)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (next, namespace, *identity),
    )


def confirm(tx: Transaction, namespace: int, identity: IdentityRow) -> None:
    """Put what the network confirmed in the place of what this node said of itself under the same DID."""
    tx.execute(
        """
        UPDATE identities
           SET id = ?, parent = ?, description = ?, created = ?, profile = ?, claim = ?, verification = ?
         WHERE namespace = ? AND did = ?""",
        (
            identity.id, identity.parent, identity.description, identity.created, identity.profile, identity.claim,
            identity.verification, namespace, identity.did,
        ),
    )  # fmt: skip


def renumber(tx: Transaction, namespace: int, id: bytes, new: bytes) -> None:
    """Give an identity another id."""
    tx.execute("UPDATE identities SET id = ? WHERE namespace = ? AND id = ?", (new, namespace, id))


class Profile(NamedTuple):
    """What may change of an identity, always as a whole; `profile` is JSON text."""

    description: str | None
    profile: str | None


def update(tx: Transaction, namespace: int, id: bytes, profile: Profile, message: bytes, now: int) -> None:
    """Replace the profile of an identity; `message` is the one that said so."""
    tx.execute(
        """
        UPDATE identities SET description = ?, profile = ?, "update" = ?, updated = ?
         WHERE namespace = ? AND id = ?""",
        (*profile, message, now, namespace, id),
    )


def describe_unclaimed(tx: Transaction, namespace: int, id: bytes, profile: str) -> None:
    """What this node will claim for an identity, if it has not done so yet."""
    tx.execute(
        "UPDATE identities SET profile = ? WHERE namespace = ? AND id = ? AND claim IS NULL", (profile, namespace, id)
    )


def add_verifier(
    tx: Transaction, namespace: int, name: str, identity: bytes, type: str, value: str, now: int,
    *, pin: int | None = None,
) -> None:  # fmt: skip
    """Record that the holder of `value` speaks for `identity`; the first to claim a key keeps it.

    `pin` is the one at which the network knew it; None for what only this node says.
    """
    tx.execute(
        """
        INSERT INTO verifiers (namespace, hash, identity, type, value, created, pin) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (namespace, type, value) DO NOTHING""",
        (namespace, verifier_hash(name, type, value), identity, type, value, now, pin),
    )


def remove_verifiers(tx: Transaction, namespace: int, identity: bytes) -> None:
    """Nothing proves this identity any more."""
    tx.execute("DELETE FROM verifiers WHERE namespace = ? AND identity = ?", (namespace, identity))


def remove_verifier(tx: Transaction, namespace: int, type: str, value: str) -> None:
    """Nobody is known any more to own this key."""
    tx.execute("DELETE FROM verifiers WHERE namespace = ? AND type = ? AND value = ?", (namespace, type, value))


def verifiers_of(tx: Transaction, namespace: int, identity: bytes) -> list[VerifierRow]:
    """What proves an identity, the first one first."""
    rows = tx.execute(
        """
        SELECT hash, identity, type, value, created FROM verifiers
         WHERE identity = ? AND namespace = ? ORDER BY created, value""",
        (identity, namespace),
    )
    return [VerifierRow(*row) for row in rows]


def owner_of(tx: Transaction, namespace: int, type: str, value: str) -> IdentityRow | None:
    """The identity, of whatever type, that is proved by `value`."""
    row = tx.one(
        f"""
        SELECT {COLUMNS} FROM verifiers v JOIN identities i ON i.id = v.identity AND i.namespace = v.namespace
         WHERE v.namespace = ? AND v.type = ? AND v.value = ?""",
        (namespace, type, value),
    )
    return None if row is None else IdentityRow(*row)


def peers(tx: Transaction, namespace: int) -> list[tuple[str, str]]:
    """The nodes that the network knows: what each one's data exchange is called, and its profile (JSON text)."""
    rows = tx.execute(
        """
        SELECT v.value, coalesce(i.profile, '{}') FROM verifiers v
          JOIN identities i ON i.id = v.identity AND i.namespace = v.namespace
         WHERE v.namespace = ? AND v.type = ? AND i.claim IS NOT NULL ORDER BY v.value""",
        (namespace, DX_VERIFIER),
    )
    return [(value, profile) for value, profile in rows]


def peer(tx: Transaction, namespace: int, value: str) -> str | None:
    """The profile (JSON text) of the node whose data exchange is called so, if the network knows it."""
    found = owner_of(tx, namespace, DX_VERIFIER, value)
    return None if found is None or found.claim is None else found.profile or "{}"


def author_of(tx: Transaction, namespace: int, type: str, key: str) -> tuple[str, bytes] | None:
    """The DID and id of the organisation or custom identity that signs with `key`, if it is known here."""
    found = owner_of(tx, namespace, type, key)
    return None if found is None or found.type == NODE else (found.did, found.id)


class KeyOwner(NamedTuple):
    """Whose key it is, and at which pin the network knew it; None for what only this node says of itself."""

    did: str
    id: bytes
    pin: int | None


def key_owner(tx: Transaction, namespace: int, type: str, key: str) -> KeyOwner | None:
    """The organisation or custom identity that signs with `key`, if one is known here."""
    row = tx.one(
        """
        SELECT i.did, i.id, v.pin FROM verifiers v JOIN identities i ON i.id = v.identity AND i.namespace = v.namespace
         WHERE v.namespace = ? AND v.type = ? AND v.value = ? AND i.type <> 'node'""",
        (namespace, type, key),
    )
    return None if row is None else KeyOwner(*row)


def key_of(tx: Transaction, namespace: int, type: str, did: str) -> str | None:
    """The first key of this type that speaks for `did`; None when there is no such identity or it has none."""
    found: str | None = tx.value(
        """
        SELECT v.value FROM identities i JOIN verifiers v ON v.identity = i.id AND v.namespace = i.namespace
         WHERE i.namespace = ? AND i.did = ? AND v.type = ? ORDER BY v.created, v.value LIMIT 1""",
        (namespace, did, type),
    )
    return found


def find_identity(tx: Transaction, namespace: int, did: str) -> IdentityRow | None:
    """The identity that has this DID."""
    row = tx.one(f"SELECT {COLUMNS} FROM identities i WHERE i.namespace = ? AND i.did = ?", (namespace, did))
    return None if row is None else IdentityRow(*row)


def find_by_id(tx: Transaction, namespace: int, id: bytes) -> IdentityRow | None:
    """The identity that has this id."""
    row = tx.one(f"SELECT {COLUMNS} FROM identities i WHERE i.id = ? AND i.namespace = ?", (id, namespace))
    return None if row is None else IdentityRow(*row)


def first_node_of(tx: Transaction, namespace: int, parent: bytes) -> IdentityRow | None:
    """The oldest node that an identity owns."""
    row = tx.one(
        f"""
        SELECT {COLUMNS} FROM identities i
         WHERE i.namespace = ? AND i.type = 'node' AND i.parent = ? ORDER BY i.created, i.id LIMIT 1""",
        (namespace, parent),
    )
    return None if row is None else IdentityRow(*row)


# Claims that are confirmed, and are no identities yet -----------------------------------------------------------------


class ClaimRow(NamedTuple):
    """A confirmed claim that lacks its verification: its message, and the value that it carried."""

    message: bytes
    hash: bytes
    pin: int
    did: str
    key: str
    value: str


class VerificationRow(NamedTuple):
    """A confirmed verification that lacks its claim: which message it means, and the value that it carried."""

    claim: bytes
    message: bytes
    did: str
    hash: bytes
    value: str


def keep_claim(tx: Transaction, namespace: int, claim: ClaimRow) -> None:
    """Keep a confirmed claim until its verification comes."""
    tx.execute(
        "INSERT INTO claims (namespace, message, hash, pin, did, key, value) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (namespace, *claim),
    )


def find_claim(tx: Transaction, namespace: int, message: bytes) -> ClaimRow | None:
    """The kept claim of that message."""
    row = tx.one(
        "SELECT message, hash, pin, did, key, value FROM claims WHERE namespace = ? AND message = ?",
        (namespace, message),
    )
    return None if row is None else ClaimRow(*row)


def dids_claimed_with(tx: Transaction, namespace: int, key: str) -> list[str]:
    """The DIDs that were claimed with a key and are nobody's yet."""
    rows = tx.execute("SELECT DISTINCT did FROM claims WHERE namespace = ? AND key = ?", (namespace, key))
    return [row[0] for row in rows]


def drop_claims(tx: Transaction, namespace: int, did: str, key: str) -> None:
    """The claims of this DID by this key are settled."""
    tx.execute("DELETE FROM claims WHERE namespace = ? AND key = ? AND did = ?", (namespace, key, did))


def keep_verification(tx: Transaction, namespace: int, verification: VerificationRow) -> None:
    """Keep a confirmed verification until its claim comes."""
    tx.execute(
        "INSERT INTO verifications (namespace, claim, message, did, hash, value) VALUES (?, ?, ?, ?, ?, ?)",
        (namespace, *verification),
    )


def verifications_for(tx: Transaction, namespace: int, claim: bytes) -> list[VerificationRow]:
    """The kept verifications that mean this claim, in no particular order."""
    rows = tx.execute(
        """
        SELECT claim, message, did, hash, value FROM verifications
         WHERE namespace = ? AND claim = ? ORDER BY message""",
        (namespace, claim),
    )
    return [VerificationRow(*row) for row in rows]
