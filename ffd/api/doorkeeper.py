"""Who may come in by TCP: the rules of that door as they are now, and what they say of each request.

On a Unix socket the mode of the socket has decided already, and nobody is asked. A TCP connection has a `Visitor`,
which says of each of its requests, before any of its body is taken, whether its Host and Origin are such that it may
be answered, and whose it is.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass

import trio

from ffd.api.caller import LOCAL, NOBODY, Caller, Unauthorised
from ffd.api.credentials import Credentials
from ffd.api.heads import Head
from ffd.api.origins import Greeting, Sites, greet
from ffd.api.peer import Peer

log = logging.getLogger(__name__)

OPEN_PATHS = ("/livez", "/readyz")
"""A supervisor or a load balancer asks these, which has no credentials; a stranger learns whether ffd runs."""
NO_TRUST = b""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a TCP door asks of those who come.

    `credentials` are None where nobody is asked who it is; `trust` stands for the authorities whose certificates are
    credentials, and is empty when there are none.
    """

    tls: ssl.SSLContext | None = None
    credentials: Credentials | None = None
    trust: bytes = NO_TRUST
    sites: Sites = Sites()

    @property
    def asks(self) -> bool:
        """Must a caller say who it is?"""
        return self.credentials is not None or self.trust != NO_TRUST


class Doorkeeper:
    """The rules of the TCP door, which a reload may change under open connections."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.changed = trio.Event()

    def take(self, rules: Rules) -> None:
        """From now on these rules hold; whoever waits for the change is told."""
        self.rules = rules
        changed, self.changed = self.changed, trio.Event()
        changed.set()


class Visitor:
    """One TCP connection to the door; `rules` are those of its handshake, where there was one."""

    def __init__(self, keeper: Doorkeeper, rules: Rules, stream: trio.abc.Stream, peer: Peer) -> None:
        self._keeper = keeper
        self._peer = peer
        self._scheme = "https" if isinstance(stream, trio.SSLStream) else "http"
        self._local = _local_address(stream)
        self._certificate = _certificate_of(stream) if rules.trust else None
        self._trust = rules.trust

    def greet(self, head: Head) -> Greeting:
        """Refuse a request that a strange web page had sent (403); else what it is told of its origin."""
        return greet(head, self._keeper.rules.sites, self._scheme, self._local)

    async def identify(self, head: Head) -> Caller:
        """Whose request it is, now. Raises Unauthorised, Full FFD2033."""
        rules = self._keeper.rules
        if not rules.asks:
            return LOCAL
        given = head.values("authorization")
        found = await self._find(given, rules)
        if found is not None:
            return found
        if head.path in OPEN_PATHS:
            return NOBODY
        if given:
            log.info("wrong credentials", extra={"address": self._peer.address, "path": head.path[:80]})
        raise self._unauthorised(rules, bool(given))

    async def changed(self) -> None:
        """Wait until the rules are other ones."""
        await self._keeper.changed.wait()

    async def _find(self, given: list[str], rules: Rules) -> Caller | None:
        if len(given) == 1 and rules.credentials is not None:
            return await rules.credentials.find(given[0])
        if not given and self._certificate is not None and self._trust == rules.trust:
            return self._certificate
        return None

    def _unauthorised(self, rules: Rules, given: bool) -> Unauthorised:
        why = "these credentials are not known here" if given else "say who you are"
        kinds = "a bearer token, a password, or a client certificate, as this node is configured"
        return Unauthorised(f"{why}: send {kinds}", rules.credentials.challenges if rules.credentials else ())


def _local_address(stream: trio.abc.Stream) -> str:
    """The address of ours that the client connected to."""
    socket = getattr(getattr(stream, "transport_stream", stream), "socket", None)
    return str(socket.getsockname()[0]) if socket is not None else ""


def _certificate_of(stream: trio.abc.Stream) -> Caller | None:
    """Whose certificate the client has shown, which the handshake has verified."""
    shown = stream.getpeercert() if isinstance(stream, trio.SSLStream) else None
    if not shown:
        return None
    names = [value for part in shown.get("subject", ()) for field, value in part if field == "commonName"]
    names += [value for _, value in shown.get("subjectAltName", ())]
    return Caller(f"certificate {names[0] if names else shown.get('serialNumber', '')}")
