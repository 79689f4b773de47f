"""Namespaces, and who is who in them: identities and the keys that prove them."""

from __future__ import annotations

from dataclasses import dataclass

from ffd.model.errors import Conflict
from ffd.model.ids import sha256
from ffd.store.transaction import Transaction

ORG, NODE, CUSTOM = "org", "node", "custom"


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """One identity; `id` and `parent` are 16 bytes."""

    id: bytes
    did: str
    type: str
    parent: bytes | None
    name: str
    description: str | None
    created: int


def ensure(tx: Transaction, name: str, network_name: str, now: int) -> tuple[int, int]:
    """The number and the creation time of the namespace `name`, made if it is new."""
    row = tx.one("SELECT id, created FROM namespaces WHERE name = ?", (name,))
    if row is None:
        number: int = tx.value("SELECT coalesce(max(id), 0) + 1 FROM namespaces")
        tx.execute(
            "INSERT INTO namespaces (id, name, network_name, created) VALUES (?, ?, ?, ?)",
            (number, name, network_name, now),
        )
        return number, now
    return row[0], row[1]


def place(tx: Transaction, namespace: int, network_name: str, ledger: str) -> bool:
    """Record in which network, on which ledger, a namespace takes part; whether it did not before.

    Raises Conflict FFD1304 while messages are under way in the network, or on the ledger, that it would leave.
    """
    before = tx.one("SELECT network_name, ledger, name FROM namespaces WHERE id = ?", (namespace,))
    if before is not None and before[:2] == (network_name, ledger):
        return False
    under_way: int = tx.value(
        "SELECT count(*) FROM message_states WHERE namespace = ? AND confirmed IS NULL AND state = 'ready'",
        (namespace,),
    )
    if before is not None and under_way:
        raise Conflict(
            "FFD1304",
            f"namespace {before[2]} has messages under way ({under_way}) in network {before[0]} on ledger {before[1]}: "
            f"give it these back until they are confirmed",
        )
    tx.execute("UPDATE namespaces SET network_name = ?, ledger = ? WHERE id = ?", (network_name, ledger, namespace))
    return True


def register(tx: Transaction, namespace: int, identity: IdentityRow) -> bytes:
    """Record an identity that this node knows from its own configuration; the id of the one that has its DID."""
    found: bytes | None = tx.value(
        "SELECT id FROM identities WHERE namespace = ? AND did = ?", (namespace, identity.did)
    )
    if found is not None:
        return found
    tx.execute(
        """
        INSERT INTO identities (id, namespace, did, type, parent, name, description, created)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            identity.id, namespace, identity.did, identity.type, identity.parent, identity.name,
            identity.description, identity.created,
        ),
    )  # fmt: skip
    return identity.id


def add_verifier(tx: Transaction, namespace: int, name: str, identity: bytes, type: str, value: str, now: int) -> None:
    """Record that the holder of `value` speaks for `identity`; the first to claim a key keeps it."""
    hash = sha256(f"{name}{type}{value}".encode())
    tx.execute(
        """
        INSERT INTO verifiers (namespace, hash, identity, type, value, created) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (namespace, type, value) DO NOTHING""",
        (namespace, hash, identity, type, value, now),
    )


def author_of(tx: Transaction, namespace: int, type: str, key: str) -> tuple[str, bytes] | None:
    """The DID and id of the organisation or custom identity that signs with `key`, if it is known here."""
    row = tx.one(
        """
        SELECT identities.did, identities.id
          FROM verifiers JOIN identities ON identities.id = verifiers.identity
         WHERE verifiers.namespace = ? AND verifiers.type = ? AND verifiers.value = ?
           AND identities.type <> 'node'""",
        (namespace, type, key),
    )
    return None if row is None else (row[0], row[1])


def key_of(tx: Transaction, namespace: int, type: str, did: str) -> str | None:
    """The first key of this type that speaks for `did`; None when there is no such identity or it has none."""
    found: str | None = tx.value(
        """
        SELECT verifiers.value
          FROM identities JOIN verifiers ON verifiers.identity = identities.id
         WHERE identities.namespace = ? AND identities.did = ? AND verifiers.type = ?
         ORDER BY verifiers.created, verifiers.value LIMIT 1""",
        (namespace, did, type),
    )
    return found


def find_identity(tx: Transaction, namespace: int, did: str) -> IdentityRow | None:
    """The identity that has this DID."""
    row = tx.one(
        """
        SELECT id, did, type, parent, name, description, created
          FROM identities WHERE namespace = ? AND did = ?""",
        (namespace, did),
    )
    return None if row is None else IdentityRow(*row)
