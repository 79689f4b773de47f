"""Node to node over mutual TLS, as firefly-dataexchange-https speaks (FireFly reference 6.6).

A peer is who its certificate says, and the certificate counts when it is one of those in the profile that the node has
registered: nobody else signs for anybody. A certificate that is to follow is published with the one that is in use, so
that no peer refuses it when it is taken.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import trio

from ffd.model.errors import Away, Conflict, Invalid
from ffd.plugins.exchange.certificates import Files, ensure_own
from ffd.plugins.exchange.contexts import Contexts
from ffd.plugins.exchange.letters import Letter, Parcel
from ffd.plugins.exchange.links import Links, place_of
from ffd.plugins.exchange.listener import Listener
from ffd.plugins.exchange.parts import BLOB, MESSAGE
from ffd.plugins.exchange.wire import Gone
from ffd.ports.exchange import PeerProfile, Peers, Receiver, Route, Transfer
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import Source

log = logging.getLogger(__name__)

DEFAULT_ADDRESS, DEFAULT_PORT = "127.0.0.1", 3001
OPTIONS = ("address", "port", "endpoint", "certificate_file", "key_file", "next_certificate_file")
FOLDER = "exchange"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an exchange listens, and where its peers reach it."""

    address: str
    port: int
    endpoint: str


class HttpsExchange:
    """One node's place among its peers."""

    plugin = "https"

    def __init__(self, setting: PluginSetting, place: Place, contexts: Contexts, peers: Peers) -> None:
        self.name = setting.name
        self._world = setting.world
        self._place = place
        self._contexts = contexts
        self._peers = peers
        self._links = Links(setting.world, contexts, peers)

    def profile(self, node: str) -> PeerProfile:
        own = self._contexts.own()
        return PeerProfile(f"{own.name}/{node}", self._place.endpoint, own.texts)

    async def serve(
        self, receiver: Receiver, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        listener = await self._listener()
        served = Listener(self._contexts, self._peers, receiver)
        log.info("exchange %s listens on %s port %d", self.name, self._place.address, self._place.port)
        async with listener:
            task_status.started()
            await trio.serve_listeners(served.serve, [listener])

    async def _listener(self) -> trio.SocketListener:
        place = self._place
        try:
            return await self._world.listen_tcp(place.address, place.port)
        except (Conflict, Invalid) as wrong:
            raise Away(
                "FFD4428",
                f"exchange {self.name} cannot listen on {place.address} port {place.port}: another program has it, or "
                f"it is not this machine's; set address and port in its options; it is tried again",
            ) from wrong

    async def send_message(self, route: Route, message: bytes) -> None:
        await self._links.use(route, MESSAGE, Letter(route, message, self._boundary()).send)

    async def send_blob(self, route: Route, transfer: Transfer, source: Source) -> None:
        await self._links.use(route, BLOB, Parcel(route, transfer, source, self._boundary()).send)

    async def aclose(self) -> None:
        """Close the connections to peers."""
        await self._links.aclose()

    def _boundary(self) -> str:
        return f"ffd-{self._world.entropy(16).hex()}"


@asynccontextmanager
async def open_https_exchange(setting: PluginSetting, peers: Peers) -> AsyncIterator[HttpsExchange]:
    """An exchange with all nodes that are registered; at its first start it makes itself a certificate."""
    setting.check_known(*OPTIONS)
    place, files = _place(setting), _files(setting)
    host, _ = place_of(place.endpoint)
    await ensure_own(setting.world, files, org=setting.org, node=setting.node, host=host)
    contexts = Contexts(setting.world, files, peers)
    # What is wrong with the files is said at the start, and not by the first peer.
    setting.world.mutual_tls(files.certificate, files.key, (), listening=True)
    async with aclosing(HttpsExchange(setting, place, contexts, peers)) as exchange:
        yield exchange


def _place(setting: PluginSetting) -> Place:
    address, port = setting.text("address", DEFAULT_ADDRESS), setting.number("port", DEFAULT_PORT, most=65535)
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise Invalid("FFD4422", f"exchange {setting.name}: address {address!r} is not an IP address") from None
    host = f"[{ip}]" if ip.version == 6 else str(ip)
    endpoint = setting.text("endpoint", "" if ip.is_unspecified else f"https://{host}:{port}")
    try:
        place_of(endpoint)
    except Gone:
        raise Invalid(
            "FFD4423", f"exchange {setting.name} needs an endpoint that its peers reach it at: set one like "
            f"https://node.example.com:{port}, not {endpoint!r}"
        ) from None  # fmt: skip
    return Place(str(ip), port, endpoint)


def _files(setting: PluginSetting) -> Files:
    """The files that are named, or those that the node made itself."""
    named = [setting.text(option, "") for option in ("certificate_file", "key_file")]
    if any(named) != all(named):
        raise Invalid(
            "FFD4424", f"exchange {setting.name}: certificate_file and key_file are set together or not at all"
        )
    folder = setting.home / FOLDER / setting.name
    certificate, key = (
        (Path(each) for each in named) if all(named) else (folder / "certificate.pem", folder / "key.pem")
    )
    next = setting.text("next_certificate_file", "")
    return Files(certificate, key, Path(next) if next else certificate.with_name(f"next-{certificate.name}"))
