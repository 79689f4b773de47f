"""Who speaks for this node's own identities: a role for each namespace where there is anything to be said."""

from __future__ import annotations

from collections.abc import Mapping

from ffd.daemon.parts import Member, Parts
from ffd.daemon.work import SEQUENCER, Work
from ffd.model.identity import NodeProfile
from ffd.outbound.accept import Acceptor
from ffd.outbound.registrar import Registrar
from ffd.store.leadership import Leadership

REGISTRAR = "registrar"
LOOPBACK = "loopback"


def registrars_of(parts: Parts, acceptors: Mapping[str, Acceptor]) -> dict[str, Work]:
    """The work of each registrar, by its role's name. An exchange that reaches nobody has nothing to say."""
    if parts.config.roles and SEQUENCER not in parts.config.roles:
        return {}
    found: dict[str, Work] = {}
    for name, member in parts.members.items():
        claims = parts.config.namespaces[name].register
        if claims or member.exchange.plugin != LOOPBACK:
            found[f"{REGISTRAR}:{name}"] = _work(parts, member, acceptors[name], claims)
    return found


def _work(parts: Parts, member: Member, acceptor: Acceptor, claims: bool) -> Work:
    async def speak(leadership: Leadership) -> None:
        await Registrar(parts.store, acceptor, lambda: profile_of(member), claims=claims).run()

    return speak


def profile_of(member: Member) -> NodeProfile:
    """What the node's exchange is to be known by."""
    found = member.exchange.profile(member.namespace.node_name)
    return NodeProfile(found.id, found.endpoint, found.certificates)
