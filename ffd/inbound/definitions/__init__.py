"""Definitions: broadcasts that change what the node itself knows, taken in the aggregator's order and transaction.

Every member decides alike, whatever came first: a definition depends on others only by their pins. One whose dependency
may still come waits for it, and holds up its own contexts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ffd.inbound.definitions import claims, datatypes, updates, verifications
from ffd.inbound.definitions.office import Definition, Office
from ffd.inbound.verdict import HeaderView, Verdict
from ffd.model.data import Data
from ffd.model.datatype import TAG_DATATYPE
from ffd.model.definition import check_plain
from ffd.model.errors import Invalid
from ffd.model.identity import NODE, TAG_CLAIM, TAG_UPDATE, TAG_VERIFICATION, parse_claim
from ffd.store.messages import BatchedMessage
from ffd.store.pins import PinRow

__all__ = ["Definition", "Office", "claims_its_key", "define"]

Handler = Callable[[Office, Definition], Verdict]
HANDLERS: Mapping[str, tuple[str, Handler]] = {
    TAG_DATATYPE: ("datatype", datatypes.define),
    TAG_CLAIM: ("identity claim", claims.claim),
    TAG_VERIFICATION: ("identity verification", verifications.verify),
    TAG_UPDATE: ("identity update", updates.update),
}
"""What each tag defines, and who takes it."""


def define(office: Office, header: HeaderView, message: BatchedMessage, items: Sequence[Data], pin: PinRow) -> Verdict:
    """Take a definition whose turn has come: confirm it with all that follows, reject it, or let it wait."""
    what, handler = HANDLERS.get(header.tag, ("", None))
    if handler is None:
        return Verdict(f"FF10400: Rejected unknown definition '{header.tag}' of message '{header.id}'")
    value = _value(items)
    if value is None:
        return _unreadable(what, header)
    definition = Definition(
        header.id, message.id, message.hash, header.author, header.key, header.topics, pin.sequence, pin.tx, value
    )
    try:
        check_plain(value)
        return handler(office, definition)
    except Invalid:
        return _unreadable(what, header)


def claims_its_key(items: Sequence[Data]) -> bool:
    """Does a claim with this content claim an identity that signs for itself? A node's owner signs for it."""
    try:
        return parse_claim(_value(items) or "{}").identity.type != NODE
    except Invalid:
        return False


def _unreadable(what: str, header: HeaderView) -> Verdict:
    return Verdict(f"FF10400: Rejected {what} message '{header.id}' - invalid payload")


def _value(items: Sequence[Data]) -> str | None:
    """The one value that a definition has."""
    if len(items) != 1 or items[0].validator != "definition" or items[0].blob is not None:
        return None
    return items[0].value
