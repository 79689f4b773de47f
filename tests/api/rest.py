"""A whole node on a real socket, real files and a real ledger, and a client that asks its REST API."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import trio

from ffd.daemon.config import Config, LedgerConfig, load_config
from ffd.daemon.doors import hold_doors, make_desk, serve_doors
from ffd.daemon.parts import Parts, open_parts
from ffd.daemon.roles import Roles
from ffd.daemon.work import roles_of
from ffd.world import RealWorld
from tests.api.door import Answer, Client, request

API = "/api/v1/"
JSON = "Content-Type: application/json"
PATIENCE_S = 20


@dataclass
class Node:
    """A node that runs, and how it is asked."""

    parts: Parts
    socket: Path

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Answer:
        """One request on a connection of its own; a target without a leading slash is below the API."""
        stream = await trio.open_unix_socket(str(self.socket))
        async with stream:
            client = Client(stream)
            path = target if target.startswith("/") else API + target
            await client.say(request(method, path, *headers, "Connection: close", body=body))
            return await client.answer()

    async def get(self, target: str, **query: Any) -> Any:
        """The JSON of an answer that must be 200; a list as a value asks several times for the field."""
        answer = await self.ask("GET", target + (f"?{urlencode(query, doseq=True)}" if query else ""))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def until(self, target: str, so: Callable[[Any], object]) -> Any:
        """Ask until the answer is so."""
        with trio.fail_after(PATIENCE_S):
            while not so(found := await self.get(target)):
                pass
        return found

    async def send(self, method: str, target: str, value: Any, *headers: str) -> Answer:
        """A request with a JSON body."""
        return await self.ask(method, target, JSON, *headers, body=json.dumps(value).encode())

    async def broadcast(self, *values: Any, confirm: bool = True, key: str | None = None, **header: Any) -> Any:
        """Send a broadcast of some values, and wait until it is confirmed; the message."""
        message = {"header": header, "data": [{"value": value} for value in values]}
        answer = await self.send(
            "POST", f"messages/broadcast?confirm={confirm}", message | ({"idempotencyKey": key} if key else {})
        )
        assert answer.status == (200 if confirm else 202), answer.body
        return json.loads(answer.body)


@asynccontextmanager
async def open_node(
    tmp_path: Path, *, roles: tuple[str, ...] = (), ledger: str = "", **settings: str
) -> AsyncGenerator[Node, None]:
    """Run a node until the block ends: with these `roles` only (none: all), and these `settings` in its environment.

    `ledger` is a plugin in the place of the embedded one.
    """
    config = config_of(tmp_path, roles, settings)
    if ledger:
        config = replace(config, ledgers={"local": LedgerConfig(ledger, {"chain": str(tmp_path)})})
    world = RealWorld()
    async with open_parts(config, world) as parts, hold_doors(parts) as doors:
        keeper = Roles(world, parts.store, parts.process)
        desk = make_desk(parts, keeper, doors.addresses)
        async with trio.open_nursery() as nursery:
            for name, work in roles_of(parts).items():
                nursery.start_soon(keeper.keep, name, work)
            nursery.start_soon(desk.confirmations.run)
            await nursery.start(serve_doors, parts, desk, doors)
            yield Node(parts, Path(config.socket.path))
            nursery.cancel_scope.cancel()


def config_of(tmp_path: Path, roles: tuple[str, ...], settings: dict[str, str]) -> Config:
    environ = {"FFD_STATE_DIR": str(tmp_path / "state"), "FFD_SOCKET": str(tmp_path / "ffd.sock")} | settings
    return replace(load_config(None, environ), roles=roles)
