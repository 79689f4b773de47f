"""Updates: an identity has a new description and profile (FireFly reference 7.7)."""

from __future__ import annotations

from ffd.inbound.definitions.claims import problem_of
from ffd.inbound.definitions.office import Definition, Office, rejected
from ffd.inbound.verdict import CONFIRM, Verdict
from ffd.model.event import IDENTITY_UPDATED
from ffd.model.identity import NODE, parse_update
from ffd.model.ids import parse_uuid
from ffd.store import identities
from ffd.store.identities import IdentityRow, Profile


def update(office: Office, definition: Definition) -> Verdict:
    """Take an update. Raises Invalid when it cannot be read."""
    found = parse_update(definition.value)
    base, label = found.identity, f"Rejected identity update '{definition.id}'"
    problem = problem_of(definition, base, found.description)
    if problem:
        return rejected("FF10403", f"{label} - validate failed: {problem}")
    identity = identities.find_by_id(office.tx, office.number, parse_uuid(base.id))
    if identity is None or identity.claim is None or identity.did != base.did:
        return rejected("FF10408", f"{label} - identity not found: {base.id}")
    if definition.author != _signer_of(office, identity):
        return rejected("FF10409", f"{label} - wrong author: {definition.author}")
    profile = Profile(found.description or None, found.profile or None)
    identities.update(office.tx, office.number, identity.id, profile, definition.message, office.now)
    office.tell(IDENTITY_UPDATED, identity.id)
    return CONFIRM


def _signer_of(office: Office, identity: IdentityRow) -> str:
    """Who speaks for an identity: a node's parent, any other itself."""
    if identity.type != NODE or identity.parent is None:
        return identity.did
    parent = identities.find_by_id(office.tx, office.number, identity.parent)
    return "" if parent is None else parent.did
