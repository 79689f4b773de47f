"""Who this node is, said to its network: claimed once, and said anew when its data exchange is reached another way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

import msgspec
import trio

from ffd.model.canonical import canonical_json
from ffd.model.identity import Claim, IdentityBase, NodeProfile, Update, peer_profile
from ffd.model.ids import format_uuid, sha256
from ffd.model.message import CONFIRMED, REJECTED
from ffd.model.namespace import node_did
from ffd.outbound.accept import Acceptor
from ffd.outbound.definitions import Definition, claim_definition, update_definition
from ffd.store import Store, identities, messages
from ffd.store.identities import IdentityRow

_log = logging.getLogger(__name__)

SOON_S, LOOK_S = 0.1, 2.0
"""How long until the next look: while something that was said is not settled, and when nothing is to be said."""


class Registrar:
    """Speaks for one namespace's own organisation and node.

    `profile` gives what the node's exchange is to be known by now. It `claims` identities only when it is told to; what
    is claimed, by whomever of this node, it keeps true.
    """

    def __init__(self, store: Store, acceptor: Acceptor, profile: Callable[[], NodeProfile], *, claims: bool) -> None:
        self._store = store
        self._acceptor = acceptor
        self._namespace = acceptor.namespace
        self._profile = profile
        self._claims = claims
        self._told: set[str] = set()

    async def run(self) -> NoReturn:
        """Say what is to be said, until cancelled."""
        while True:
            definition = self._next()
            await trio.sleep(LOOK_S if definition is None or await self._said(definition) else SOON_S)

    def _next(self) -> Definition | None:
        """What the network has to hear next."""
        org, node = self._identity(self._namespace.author), self._identity(node_did(self._namespace.node_name))
        if org is None or node is None:
            return None
        if org.claim is None:
            return self._claim(org, org.profile or "") if self._claims else None
        if not self._is_ours(org):
            return None
        profile = self._profile()
        if node.claim is None:
            return self._claim(node, _text(profile, "")) if self._claims else None
        return self._update(node, profile)

    def _is_ours(self, org: IdentityRow) -> bool:
        """Does the network know the organisation by this node's key?"""
        number = self._namespace.number
        known = self._store.peek(lambda tx: identities.verifiers_of(tx, number, org.id))
        if self._namespace.key in [each.value for each in known]:
            return True
        self._tell(
            f"{org.did} is registered in namespace {self._namespace.name} with another key, and this node cannot speak "
            f"for it: restore keys/org.pem, or choose another org.name"
        )
        return False

    def _claim(self, row: IdentityRow, profile: str) -> Definition:
        claim = Claim(_base(row), row.description or "", profile)
        return claim_definition(claim, self._namespace.author, self._namespace.key)

    def _update(self, node: IdentityRow, profile: NodeProfile) -> Definition | None:
        known = peer_profile(node.profile or "")
        if profile == known or not profile.endpoint:
            return None
        if profile.id != known.id:
            self._tell(
                f"the exchange of namespace {self._namespace.name} is called {profile.id}, and {node.did} is "
                f"registered as {known.id or 'none'}: peers will not hear it; use a certificate for that name"
            )
            return None
        update = Update(_base(node), node.description or "", _text(profile, node.profile or ""))
        return update_definition(update, self._namespace.author, self._namespace.key)

    async def _said(self, definition: Definition) -> bool:
        """Say it unless it was said before, in this state of things; whether there is nothing more to wait for."""
        key = self._key(definition)
        number = self._namespace.number
        found = self._store.peek(lambda tx: messages.by_idempotency_key(tx, number, key))
        if found is None:
            _log.info("%s of namespace %s says who it is", definition.author, self._namespace.name)
            sealed = self._acceptor.seal_definition(definition)
            once = msgspec.structs.replace(sealed.message, idempotency_key=key)
            await self._acceptor.define(msgspec.structs.replace(sealed, message=once))
            return False
        row = self._store.peek(lambda tx: messages.find(tx, number, found))
        if row is None or row.state not in (CONFIRMED, REJECTED):
            return False
        if row.state == REJECTED:
            self._tell(
                f"{definition.author} could not say who it is, by message {format_uuid(found)}: {row.reject_reason}"
            )
        return True

    def _key(self, definition: Definition) -> str:
        """The same for the same words in the same state of the identity: to return to an old profile is news."""
        row = self._identity(node_did(self._namespace.node_name))
        last = b"" if row is None else row.update or row.claim or b""
        said = f"{definition.author} {definition.key} {definition.tag} {definition.value}".encode()
        return f"ffd-registrar-{sha256(said + last).hex()}"

    def _identity(self, did: str) -> IdentityRow | None:
        return self._store.peek(lambda tx: identities.find_identity(tx, self._namespace.number, did))

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            _log.error("%s", text)


def _text(profile: NodeProfile, before: str) -> str:
    """A node's profile: what the exchange says, and what else was said before."""
    others: dict[str, msgspec.Raw] = msgspec.json.decode(before or "{}", type=dict[str, msgspec.Raw])
    return canonical_json(msgspec.json.encode({**others, **msgspec.structs.asdict(profile)}))


def _base(row: IdentityRow) -> IdentityBase:
    parent = "" if row.parent is None else format_uuid(row.parent)
    return IdentityBase(format_uuid(row.id), row.did, row.type, parent, row.name)
