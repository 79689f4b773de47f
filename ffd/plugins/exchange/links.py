"""The sending end: a connection to each node for messages and one for blobs, each with one thing under way at a time.

So what is sent to one node by calls that follow each other arrives in that order, and a large blob holds up no message.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11
import trio

from ffd.model.errors import Away, Full, Invalid
from ffd.plugins.exchange.contexts import Contexts
from ffd.plugins.exchange.wire import STALL_S, Distrusted, Distrusting, Gone, Wire, secure
from ffd.ports.exchange import PeerProfile, Peers, Route
from ffd.world import World

LINKS_MAX = 256
"""Connections that are kept; one more closes the one that was used longest ago."""
CONNECT_S = 10.0
ANSWER_S = 120.0
"""How long a peer may take to write what it got to its disk."""
REASON_BYTES_MAX = 2048
REFUSED = (400, 405, 411, 413, 414, 415, 422, 431)
"""Answers to this one thing; all others are about the two nodes, or the moment."""
PING = "/api/v1/ping"
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer answered: the status, its headers by lower-case name, and the beginning of its body."""

    status: int
    headers: Mapping[str, str]
    reason: str


@dataclass
class Link:
    """A connection to a node, if there is one, and what it was made with."""

    route: Route
    one_at_a_time: trio.Lock = field(default_factory=trio.Lock)
    wire: Wire | None = None
    made_with: object = None
    path: str = ""
    host: str = ""

    def head(self, method: str, target: str, headers: Mapping[str, str] = NONE) -> h11.Request:
        """The head of a request. Raises Gone when what the peer registered cannot stand in one."""
        try:
            return h11.Request(
                method=method, target=self.path + target, headers=[("host", self.host), *headers.items()]
            )
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise Gone(f"its endpoint cannot be asked: {error}") from error

    async def cut(self) -> None:
        """Have no connection any more."""
        wire, self.wire = self.wire, None
        if wire is not None:
            await wire.cut()


class Links:
    """The connections of one exchange to its peers."""

    def __init__(self, world: World, contexts: Contexts, peers: Peers) -> None:
        self._world = world
        self._contexts = contexts
        self._peers = peers
        self._links: OrderedDict[tuple[Route, str], Link] = OrderedDict()

    async def use(self, route: Route, kind: str, speak: Callable[[Link, Wire], Awaitable[Answer]]) -> None:
        """Speak to the recipient over its connection of this kind; begun anew, once, where an old one has ended.

        `speak` may be called twice. Raises Away, Full, Invalid.
        """
        link = await self._link(route, kind)
        async with link.one_at_a_time:
            used_before = await self._connect(link)
            try:
                answer = await self._speak(link, speak)
            except Gone as gone:
                if not used_before:
                    raise _away(route, gone) from gone
                answer = await self._speak_anew(link, speak)
        check(route, answer)

    async def aclose(self) -> None:
        """Close all connections, also when whoever does it is cancelled: none of them is waited for."""
        with trio.CancelScope(shield=True):
            for link in self._links.values():
                await link.cut()

    async def _speak_anew(self, link: Link, speak: Callable[[Link, Wire], Awaitable[Answer]]) -> Answer:
        await self._connect(link)
        try:
            return await self._speak(link, speak)
        except Gone as gone:
            raise _away(link.route, gone) from gone

    async def _speak(self, link: Link, speak: Callable[[Link, Wire], Awaitable[Answer]]) -> Answer:
        wire = link.wire
        if wire is None:
            raise Gone("there is no connection")
        reusable = False
        try:
            answer = await speak(link, wire)
            reusable = wire.again()
        finally:
            if not reusable:
                with trio.CancelScope(shield=True):
                    await link.cut()
        return answer

    async def _link(self, route: Route, kind: str) -> Link:
        link = self._links.setdefault((route, kind), Link(route))
        self._links.move_to_end((route, kind))
        if len(self._links) > LINKS_MAX:
            for key, oldest in list(self._links.items()):
                if not oldest.one_at_a_time.locked() and oldest is not link:
                    del self._links[key]
                    await oldest.cut()
                    break
        return link

    async def _connect(self, link: Link) -> bool:
        """Have a connection to where the recipient is now; was it there before? Raises Away."""
        profile = self._profile(link.route)
        made_with = profile, self._contexts.own()
        if link.wire is not None and link.made_with == made_with:
            return True
        await link.cut()
        try:
            link.wire = await self._dial(link, profile)
        except Gone as gone:
            raise _away(link.route, gone) from gone
        link.made_with = made_with
        return False

    async def _dial(self, link: Link, profile: PeerProfile) -> Wire:
        host, port = place_of(profile.endpoint)
        url = urlsplit(profile.endpoint)
        link.path, link.host = url.path.rstrip("/"), url.netloc.rpartition("@")[2]
        context, trusted = self._contexts.towards(profile)
        try:
            with trio.fail_after(CONNECT_S):
                stream = await self._world.connect_tcp(host, port)
        except trio.TooSlowError:
            raise Gone(f"{host} port {port} does not answer within {CONNECT_S:g} s") from None
        except OSError as error:
            raise Gone(f"{host} port {port}: {error.strerror or error}") from error
        try:
            wire = Wire(await secure(stream, context, listening=False, host=_server_name(host)), listening=False)
            if wire.certificate not in trusted:
                raise Distrusted("its certificate is not one of those that it registered")
            # A peer that does not trust us says so only now; a large request would drown its words.
            await ask(wire, link.head("HEAD", PING), within_s=STALL_S)
            if not wire.again():
                raise Gone("it closes every connection")
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
            raise
        return wire

    def _profile(self, route: Route) -> PeerProfile:
        profile = self._peers.find(route.namespace, route.recipient)
        if profile is None:
            raise Away(
                "FFD4404", f"no registered node is {route.recipient[:80]} in {route.namespace}: it is tried again"
            )
        return profile


async def ask(wire: Wire, head: h11.Request, body: bytes = b"", *, within_s: float = ANSWER_S) -> Answer:
    """The answer to a request, which is sent in one write. Raises Gone."""
    await wire.send(head, *([h11.Data(data=body)] if body else []), h11.EndOfMessage())
    return await answer_of(wire, within_s=within_s)


async def answer_of(wire: Wire, *, within_s: float = ANSWER_S) -> Answer:
    """The answer to what was asked. Raises Gone."""
    while not isinstance(said := await wire.next(within_s=within_s), h11.Response):
        if not isinstance(said, h11.InformationalResponse):
            raise Gone("it does not speak HTTP/1.1 as it should")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in said.headers}
    reason = bytearray()
    while len(reason) <= REASON_BYTES_MAX and (piece := await wire.piece()):
        reason += piece
    return Answer(said.status_code, headers, reason[:REASON_BYTES_MAX].decode("utf-8", "replace"))


def check(route: Route, answer: Answer) -> None:
    """Raises what an answer means for whoever sent something: Invalid, Full or Away, unless it was taken."""
    if 200 <= answer.status < 300:
        return
    what = f"{route.recipient[:80]} answered {answer.status}: {answer.reason[:500].strip() or 'it does not say why'}"
    if answer.status in REFUSED:
        raise Invalid("FFD4412", f"{what}; it will not be sent again by itself")
    if answer.status == 507:
        raise Full("FFD4413", f"{what}; it is tried again")
    raise Away("FFD4414", f"{what}; it is tried again")


def place_of(endpoint: str) -> tuple[str, int]:
    """The host and port of an endpoint. Raises Gone."""
    try:
        url = urlsplit(endpoint)
        if url.scheme == "https" and url.hostname:
            return url.hostname, url.port or 443
    except ValueError:
        pass
    raise Gone(f"it has no https endpoint but {endpoint[:80]!r}")


def _away(route: Route, gone: Gone) -> Away:
    recipient = route.recipient[:80]
    if isinstance(gone, Distrusted):
        return Away(
            "FFD4426", f"{recipient} cannot be reached: {gone}; its member must publish a good one; it is tried again"
        )
    if isinstance(gone, Distrusting):
        return Away(
            "FFD4427", f"{recipient} cannot be reached: {gone}; publish the one in use, or renew it; it is tried again"
        )
    return Away("FFD4415", f"{recipient} cannot be reached: {gone}; it is tried again")


def _server_name(host: str) -> str | None:
    """What the peer is told that it is called, as long as it is a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None
