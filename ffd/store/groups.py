"""Groups: those to whom private messages go together (FireFly reference 1.4, 2.5, 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ffd.model.group import Member, members_json
from ffd.store.transaction import Transaction

_MEMBERS = msgspec.json.Decoder(tuple[Member, ...])


class GroupRow(NamedTuple):
    """A group: its 32-byte hash, its members in the order that was hashed, the id of the message that founded it."""

    hash: bytes
    name: str
    members: tuple[Member, ...]
    message: bytes | None
    created: int

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes (UUID texts) of its members, each once, in their order."""
        return tuple(dict.fromkeys([member.node for member in self.members]))

    def has(self, identity: str, node: str) -> bool:
        """Is this identity, on this node, one of its members?"""
        return Member(identity, node) in self.members


def find(tx: Transaction, namespace: int, hash: bytes) -> GroupRow | None:
    """The group of this hash."""
    row = tx.one(
        "SELECT hash, name, members, message, created FROM groups WHERE namespace = ? AND hash = ?", (namespace, hash)
    )
    return None if row is None else GroupRow(row[0], row[1], _MEMBERS.decode(row[2]), *row[3:])


def members(tx: Transaction, namespace: int, hash: bytes) -> Sequence[Member]:
    """The members of a group, in the order that was hashed; nobody of one that is not known."""
    row: str | None = tx.value("SELECT members FROM groups WHERE namespace = ? AND hash = ?", (namespace, hash))
    return () if row is None else _MEMBERS.decode(row)


def ensure(tx: Transaction, namespace: int, group: GroupRow) -> bool:
    """Record a group unless it is known: its hash says all of it but its message. Returns whether it is new."""
    if tx.value("SELECT 1 FROM groups WHERE namespace = ? AND hash = ?", (namespace, group.hash)) is not None:
        return False
    next: int = tx.value("SELECT coalesce(max(sequence), 0) + 1 FROM groups")
    tx.execute(
        """
        INSERT INTO groups (sequence, namespace, hash, name, members, message, created) VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (next, namespace, group.hash, group.name, members_json(group.members), group.message, group.created),
    )
    return True


def founded_by(tx: Transaction, namespace: int, hash: bytes, message: bytes) -> None:
    """Record which message founded a group: on all nodes the same one, the first of its kind that was dispatched."""
    tx.execute("UPDATE groups SET message = ? WHERE namespace = ? AND hash = ?", (message, namespace, hash))
