"""Verifications: a parent says that a claim is true, before the claim or after it (FireFly reference 7.7)."""

from __future__ import annotations

from ffd.inbound.definitions.claims import Claimed, judge_claim, problem_of, settle
from ffd.inbound.definitions.office import Definition, Office, rejected
from ffd.inbound.verdict import CONFIRM, Verdict
from ffd.model.identity import Verification, parse_claim, parse_verification
from ffd.model.ids import format_uuid, parse_uuid
from ffd.store import identities
from ffd.store.identities import ClaimRow, VerificationRow


def verify(office: Office, definition: Definition) -> Verdict:
    """Take a verification. Raises Invalid when it cannot be read."""
    found = parse_verification(definition.value)
    base, label = found.identity, f"Rejected identity verification '{definition.id}'"
    problem = problem_of(definition, base)
    if problem or not (base.parent and found.claim and found.hash):
        return rejected("FF10403", f"{label} - validate failed: {problem or 'it names no parent, or no claim'}")
    # The author is known: its key would be waited for otherwise. So it is the parent, or never will be.
    author = identities.find_identity(office.tx, office.number, definition.author)
    if author is None or author.id != parse_uuid(base.parent):
        return rejected("FF10409", f"{label} - wrong author: {definition.author}")
    claim = identities.find_claim(office.tx, office.number, parse_uuid(found.claim))
    if claim is None or claim.did != base.did:
        return _keep(office, definition, found)
    if claim.hash.hex() != found.hash:
        return rejected("FF10410", f"{label} - hash mismatch: {claim.hash.hex()} != {found.hash}")
    return _complete(office, definition, claim, found, label)


def _keep(office: Office, definition: Definition, found: Verification) -> Verdict:
    row = VerificationRow(
        parse_uuid(found.claim), definition.message, found.identity.did, bytes.fromhex(found.hash), definition.value
    )
    identities.keep_verification(office.tx, office.number, row)
    return CONFIRM


def _complete(office: Office, definition: Definition, claim: ClaimRow, found: Verification, label: str) -> Verdict:
    told = parse_claim(claim.value)
    if told.identity != found.identity:
        # Else any member could verify what was claimed of another parent.
        return rejected("FF10403", f"{label} - validate failed: claim {format_uuid(claim.message)} says otherwise")
    claimed = Claimed(told, claim.message, told.identity.did, claim.key, definition.pin, definition.message)
    verdict = judge_claim(office, claimed)
    return verdict if verdict != CONFIRM else settle(office, claimed)
