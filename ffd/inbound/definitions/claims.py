"""Claims: how an identity comes into the network (FireFly reference 7.7).

A root organisation claims itself. Others need their parent: a node's claim is signed by it, any other by the identity's
own key, and the parent verifies it in a message of its own; the identity is there when both are, in either order.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ffd.inbound import rewind
from ffd.inbound.definitions.office import Definition, Office, rejected
from ffd.inbound.order import Cause
from ffd.inbound.verdict import CONFIRM, Verdict
from ffd.model.context import broadcast_context
from ffd.model.errors import Invalid
from ffd.model.event import IDENTITY_CONFIRMED
from ffd.model.identity import (
    DX_VERIFIER,
    NODE,
    ORG,
    Claim,
    IdentityBase,
    check_identity,
    did_of,
    identity_topic,
    may_be_parent,
    parse_claim,
    parse_verification,
    raw_id,
)
from ffd.model.ids import format_uuid, parse_uuid
from ffd.model.namespace import LEDGER_VERIFIER
from ffd.store import identities, pins
from ffd.store.identities import ClaimRow, IdentityRow

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim with the message that made it, and the pin at which it is complete, its verification included."""

    claim: Claim
    message: bytes
    author: str
    key: str
    pin: int
    verification: bytes | None = None

    @property
    def base(self) -> IdentityBase:
        return self.claim.identity


def claim(office: Office, definition: Definition) -> Verdict:
    """Take a claim. Raises Invalid when it cannot be read."""
    found = parse_claim(definition.value)
    base = found.identity
    if not definition.author:
        return rejected("FF10401", f"Rejected identity claim message '{definition.id}' - author is blank")
    problem = problem_of(definition, base, found.description)
    if problem:
        return rejected("FF10403", f"Rejected identity claim '{definition.id}' - validate failed: {problem}")
    claimed = Claimed(found, definition.message, definition.author, definition.key, definition.pin)
    verdict = _in_turn(office, claimed) or judge_claim(office, claimed)
    if verdict != CONFIRM or _is_known(office, base):
        return verdict
    if base.parent and base.type != NODE:
        return _with_verification(office, claimed, definition)
    return settle(office, claimed)


def problem_of(definition: Definition, base: IdentityBase, description: str = "") -> str:
    """Why nothing can be said of such an identity, or not on these topics; empty when it can."""
    try:
        check_identity(base, description)
    except Invalid as refused:
        return str(refused)
    topic = identity_topic(base.did)
    return "" if definition.belongs_on(topic) else f"it is to be said on topic {topic}"


def judge_claim(office: Office, claimed: Claimed) -> Verdict:
    """May this identity be claimed so? Waits for its parent."""
    base, parent = claimed.base, _parent(office, claimed.base)
    if base.parent and parent is None:
        return Verdict(cause=Cause.IDENTITY, subject=base.parent)
    label = f"identity claim '{format_uuid(claimed.message)}'"
    if parent is not None and not may_be_parent(parent.type, base.type):
        return rejected(
            "FF10403", f"Rejected {label} - validate failed: parent {parent.did} of type {parent.type} is invalid"
        )
    if not _is_signed_right(office, claimed, parent):
        return rejected(
            "FF10402", f"Rejected identity claim message '{format_uuid(claimed.message)}' - signature mismatch"
        )
    return _conflict(office, claimed)


def settle(office: Office, claimed: Claimed) -> Verdict:
    """Let the identity be known, unless its key may be another's by an earlier pin that waits."""
    waits = _in_turn(office, claimed)
    if waits is not None:
        return waits
    _record(office, claimed)
    return CONFIRM


def _in_turn(office: Office, claimed: Claimed) -> Verdict | None:
    """Does an earlier pin wait that may claim the same key, or verify such a claim?

    So who gets a key is settled in the ledger's order.
    """
    if claimed.base.type == NODE:
        return None
    return undecided(office, claimed.key, claimed.pin, claimed.base.did)


def undecided(office: Office, key: str, pin: int, but: str = "") -> Verdict | None:
    """What is to be waited for until it is certain whose key this is at a pin, claims of the DID `but` apart."""
    if pins.may_claim_before(office.tx, office.number, key, pin):
        return Verdict(cause=Cause.CLAIM, subject=key)
    for did in identities.dids_claimed_with(office.tx, office.number, key):
        context = broadcast_context(identity_topic(did))
        first = pins.first_waiting(office.tx, office.number, context)
        if did != but and first is not None and first < pin:
            return Verdict(cause=Cause.DEFINITION, subject=context.hex())
    return None


def same_base(row: IdentityRow, base: IdentityBase) -> bool:
    """Is this the identity that is claimed?"""
    return (row.id, row.did, row.type, row.parent, row.name) == (
        parse_uuid(base.id), base.did, base.type, raw_id(base.parent), base.name
    )  # fmt: skip


def _parent(office: Office, base: IdentityBase) -> IdentityRow | None:
    """The parent, if the network knows it: what this node alone says of itself does not count."""
    found = identities.find_by_id(office.tx, office.number, parse_uuid(base.parent)) if base.parent else None
    return None if found is None or found.claim is None else found


def _is_signed_right(office: Office, claimed: Claimed, parent: IdentityRow | None) -> bool:
    base = claimed.base
    if base.type == NODE:
        # Its key too must be the parent's: the author alone is a word that anybody can write.
        did = "" if parent is None else parent.did
        key = identities.key_of(office.tx, office.number, LEDGER_VERIFIER, did)
        return claimed.author == did and claimed.key == key
    return claimed.author == base.did or (base.type == ORG and claimed.author == did_of(ORG, base.id))


def _conflict(office: Office, claimed: Claimed) -> Verdict:
    """Is the identity, its id or its key another's already?"""
    base, label = claimed.base, f"Rejected identity claim '{claimed.base.id}'"
    for row in (
        identities.find_identity(office.tx, office.number, base.did),
        identities.find_by_id(office.tx, office.number, parse_uuid(base.id)),
    ):
        if row is not None and row.claim is not None and not same_base(row, base):
            return rejected("FF10407", f"{label} - conflicts with existing: {format_uuid(row.id)}")
    type, value = _verifier(claimed)
    owner = identities.owner_of(office.tx, office.number, type, value)
    if owner is not None and owner.claim is not None and owner.id != parse_uuid(base.id):
        return rejected(
            "FF10407", f"Rejected identity verifier '{type}:{value}' - conflicts with existing: {owner.did}"
        )
    if value and _is_known(office, base) and (owner is None or owner.claim is None):
        # FireFly would give the identity a second key, whoever asks for it.
        return rejected("FF10407", f"{label} - conflicts with existing: it has another key")
    return CONFIRM


def _is_known(office: Office, base: IdentityBase) -> bool:
    """Has the network confirmed it? Then it is confirmed once more, and nothing follows."""
    found = identities.find_identity(office.tx, office.number, base.did)
    return found is not None and found.claim is not None


def _verifier(claimed: Claimed) -> tuple[str, str]:
    """What proves the identity: type and value, which is empty when a node has no data exchange."""
    return (DX_VERIFIER, claimed.claim.peer) if claimed.base.type == NODE else (LEDGER_VERIFIER, claimed.key)


def _with_verification(office: Office, claimed: Claimed, definition: Definition) -> Verdict:
    """Settle a claim whose verification was there before it; else keep it until that comes."""
    verification = _verification_of(office, claimed, definition.hash)
    if verification is None:
        kept = ClaimRow(
            definition.message, definition.hash, definition.pin, claimed.base.did, claimed.key, definition.value
        )
        identities.keep_claim(office.tx, office.number, kept)
        return CONFIRM
    return settle(office, replace(claimed, verification=verification))


def _verification_of(office: Office, claimed: Claimed, hash: bytes) -> bytes | None:
    """The message that verified a claim before it came; `hash` is that of the claim's message."""
    for row in identities.verifications_for(office.tx, office.number, claimed.message):
        if row.hash == hash and parse_verification(row.value).identity == claimed.base:
            return row.message
    return None


def _record(office: Office, claimed: Claimed) -> None:
    tx, number, base = office.tx, office.number, claimed.base
    row = IdentityRow(
        parse_uuid(base.id), base.did, base.type, raw_id(base.parent), base.name, claimed.claim.description or None,
        office.now, claimed.claim.profile or None, claimed.message, claimed.verification,
    )  # fmt: skip
    _make_way(office, row, claimed.key)
    type, value = _verifier(claimed)
    if value:
        identities.remove_verifier(tx, number, type, value)
        identities.add_verifier(tx, number, office.namespace.name, row.id, type, value, office.now, pin=claimed.pin)
    identities.drop_claims(tx, number, base.did, claimed.key)
    office.forget_authors()
    office.tell(IDENTITY_CONFIRMED, row.id)
    rewind.known(tx, number, Cause.IDENTITY, base.id)
    if type == LEDGER_VERIFIER:
        rewind.key_known(tx, number, value)
        rewind.key_taken(tx, number, value)


def _make_way(office: Office, row: IdentityRow, key: str) -> None:
    """Store the identity; what this node only said of itself gives way to what the network confirmed."""
    tx, number = office.tx, office.number
    namesake = identities.find_by_id(tx, number, row.id)
    if namesake is not None and namesake.did != row.did:
        identities.renumber(tx, number, row.id, office.world.new_id())
    own = identities.find_identity(tx, number, row.did)
    if own is None:
        identities.add(tx, number, row)
        return
    if row.type != NODE and key not in [each.value for each in identities.verifiers_of(tx, number, own.id)]:
        _log.warning("%s was claimed in namespace %s by another key, %s", row.did, office.namespace.name, key)
    identities.remove_verifiers(tx, number, own.id)
    identities.confirm(tx, number, row._replace(created=own.created))
