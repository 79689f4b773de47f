"""A door on a TCP port with a small app behind it, its rules, and its certificates."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import bcrypt
import trio
import trustme

from ffd.api.credentials import Credentials, parse_passwords, parse_tokens
from ffd.api.doorkeeper import Doorkeeper, Rules
from ffd.api.limits import DoorLimits
from ffd.api.server import Entrance, Handler, serve
from ffd.world import RealWorld
from tests.api.door import LIMITS, Client, echo, small_app

TOKEN, SALES_TOKEN = "0123456789abcdef-main", "fedcba9876543210-sales"
PASSWORD = "open sesame"
BEARER = f"Authorization: Bearer {TOKEN}"


@dataclass
class TcpDoor:
    """An open door, and who may connect."""

    port: int
    keeper: Doorkeeper
    nursery: trio.Nursery
    clients: list[Client]

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def connect(self, tls: ssl.SSLContext | None = None) -> Client:
        """A connection; behind TLS when the client's context is given."""
        wire: Any = await trio.open_tcp_stream("127.0.0.1", self.port)
        stream: Any = trio.SSLStream(wire, tls, server_hostname="localhost") if tls else wire
        self.clients.append(Client(stream))
        if tls:
            await stream.do_handshake()
        return self.clients[-1]

    def request(self, method: str, target: str, *headers: str, host: str | None = None, body: bytes = b"") -> bytes:
        """A request to this door."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host if host is None else host}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def upgrade(self, target: str = "/ws", *headers: str) -> bytes:
        """A request for a WebSocket."""
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        fixed = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
        return self.request("GET", target, *fixed, *headers)

    async def ask(self, *words: str, tls: ssl.SSLContext | None = None, **more: Any) -> Any:
        """The answer to one request on a connection of its own."""
        client = await self.connect(tls)
        await client.say(self.request(*words, **more))
        return await client.answer()

    def stop(self) -> None:
        self.nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_tcp_door(
    rules: Rules, *, app: Any = None, websocket: Handler | None = None, limits: DoorLimits = LIMITS
) -> AsyncGenerator[TcpDoor, None]:
    """Serve on a free port until the block ends."""
    listener = await RealWorld().listen_tcp("127.0.0.1", 0)
    keeper = Doorkeeper(rules)
    clients: list[Client] = []
    try:
        async with trio.open_nursery() as nursery:
            begin = partial(serve, limits=limits, version="1.2.3")
            await nursery.start(begin, [Entrance(listener, keeper)], app or small_app(), websocket or echo)
            yield TcpDoor(listener.socket.getsockname()[1], keeper, nursery, clients)
            nursery.cancel_scope.cancel()
    finally:
        for client in clients:
            await trio.aclose_forcefully(client.stream)


def credentials(*, tokens: bool = True, passwords: bool = True) -> Credentials:
    """Token `main` for all, token `sales` for one namespace, user ali."""
    listed = f"main {TOKEN}\nsales {SALES_TOKEN} sales\n"
    hashed = f"ali:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n"
    return Credentials(
        RealWorld(), parse_tokens(listed if tokens else "", "t"), parse_passwords(hashed if passwords else "", "p")
    )


class Authority:
    """Whoever signs certificates, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str = "server", *identities: str) -> tuple[Path, Path]:
        """A certificate and its key, in files fit for a server."""
        made = self.ca.issue_cert(*(identities or ("localhost", "127.0.0.1")))
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for path in (certificate, key):
            path.unlink(missing_ok=True)
        for blob in made.cert_chain_pems:
            blob.write_to_path(certificate, append=True)
        key.touch(mode=0o600)
        made.private_key_pem.write_to_path(key, append=True)
        os.chmod(certificate, 0o644)
        return certificate, key

    def client(self, *identities: str) -> ssl.SSLContext:
        """What a client needs that trusts this authority, with a certificate for these names if there are any."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if identities:
            self.ca.issue_cert(*identities, common_name=identities[0]).configure_cert(context)
        return context


async def rules_of(authority: Authority, *, client_ca: bool = False, **more: Any) -> Rules:
    """Rules with TLS."""
    certificate, key = authority.issue()
    context = await RealWorld().tls_context(certificate, key, authority.file if client_ca else None)
    return replace(Rules(context, trust=b"ca" if client_ca else b""), **more)
