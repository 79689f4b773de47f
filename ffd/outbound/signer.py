"""Who a message is from: author and key as FireFly resolves them (reference 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ffd.model.errors import FfdError, Invalid, NotFound
from ffd.model.identity import ORG, bare_name
from ffd.model.ids import parse_uuid
from ffd.model.namespace import LEDGER_VERIFIER, Namespace, org_did
from ffd.store import Store, identities
from ffd.store.identities import IdentityRow

NormalKey = Callable[[str], str]


class Keys(Protocol):
    """What a sender asks of the ledger about keys."""

    def normal_key(self, key: str) -> str:
        """The one spelling of a signing key. Raises Invalid when it is none."""

    def can_sign(self, key: str) -> bool:
        """May this node sign with `key`, in its one spelling?"""


def resolve(store: Store, namespace: Namespace, normal_key: NormalKey, author: str, key: str) -> tuple[str, str]:
    """The author's DID and the key to sign with, from what the sender gave. Raises Invalid FF10206 with the cause."""
    if not author and not key:
        return namespace.author, namespace.key
    try:
        if key:
            return _by_key(store, namespace, author, normal_key(key))
        return _by_author(store, namespace, author)
    except FfdError as cause:
        raise Invalid("FF10206", f"Invalid author specified: {cause}") from None


def _by_key(store: Store, namespace: Namespace, author: str, key: str) -> tuple[str, str]:
    found = store.peek(lambda tx: identities.author_of(tx, namespace.number, LEDGER_VERIFIER, key))
    if found is None:
        if not author:
            raise NotFound("FF10356", f"no identity is registered for key {key}: name its author, or register it")
        return look_up(store, namespace, author), key
    did = found[0]
    if author and author not in (did, bare_name(did)):
        raise Invalid(
            "FF10355", f"key {key} is registered to {did}, not to author {author[:80]!r}: give one of the two"
        )
    return did, key


def _by_author(store: Store, namespace: Namespace, author: str) -> tuple[str, str]:
    did = look_up(store, namespace, author)
    key = store.peek(lambda tx: identities.key_of(tx, namespace.number, LEDGER_VERIFIER, did))
    if key is None:
        raise Invalid("FF10353", f"identity {did} has no {LEDGER_VERIFIER}: register a key for it")
    return did, key


def look_up(store: Store, namespace: Namespace, text: str) -> str:
    """The DID behind a look-up string: a FireFly DID, or else the name of an organisation.

    An organisation may have its id in the place of its name in the DID. Raises Invalid FF10349, NotFound FF10277.
    """
    if text.startswith("did:") and not text.startswith("did:firefly:"):
        raise Invalid("FF10349", f"{text[:80]!r} is no DID of FireFly's: these start with did:firefly:")
    did = text if text.startswith("did:") else org_did(text)
    found = store.peek(lambda tx: identities.find_identity(tx, namespace.number, did))
    if found is None and did.startswith(org_did("")):
        found = _org_by_id(store, namespace, bare_name(did))
    if found is None:
        raise NotFound("FF10277", f"Identity could not be resolved via lookup string '{text[:80]}'")
    return found.did


def _org_by_id(store: Store, namespace: Namespace, text: str) -> IdentityRow | None:
    try:
        id = parse_uuid(text)
    except Invalid:
        return None
    found = store.peek(lambda tx: identities.find_by_id(tx, namespace.number, id))
    return found if found is not None and found.type == ORG else None
