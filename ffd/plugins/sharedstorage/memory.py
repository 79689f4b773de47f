"""Shared storage in memory, one for several nodes of one process: every promise of the port, and faults on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from ffd.model.errors import Away, Full, Invalid, NotFound
from ffd.model.ids import sha256
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import Sink, Source

PIECE_BYTES = 64 * 1024


@dataclass
class MemoryShelf:
    """The content, by reference, for all nodes."""

    content: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Faults:
    """What is wrong with the storage as one node sees it; `hidden` are references that it cannot see yet."""

    away: bool = False
    hide_all: bool = False
    hidden: set[str] = field(default_factory=set)
    delay_s: float = 0.0


class MemoryStorage:
    """One node's view of a `MemoryShelf`."""

    plugin = "memory"

    def __init__(self, name: str, shelf: MemoryShelf) -> None:
        self.name = name
        self.faults = Faults()
        self._shelf = shelf

    async def put(self, content: bytes) -> str:
        await self._reach()
        reference = sha256(content).hex()
        self._shelf.content[reference] = content
        return reference

    async def get(self, reference: str, *, bytes_max: int) -> bytes:
        await self._reach()
        content = self._shelf.content.get(reference)
        if content is None or self.faults.hide_all or reference in self.faults.hidden:
            raise NotFound("FFD4102", f"{reference[:80]} is not there: its author has not stored it yet")
        if len(content) > bytes_max:
            raise Full("FFD4107", f"{reference} has more than {bytes_max} bytes: nothing that large is read")
        if sha256(content).hex() != reference:
            raise Invalid("FFD4101", f"{reference} was altered: its SHA-256 is {sha256(content).hex()}")
        return content

    async def put_stream(self, source: Source) -> str:
        pieces = []
        while piece := await source.read():
            pieces.append(piece)
        return await self.put(b"".join(pieces))

    async def get_stream(self, reference: str, sink: Sink, *, bytes_max: int) -> None:
        content = await self.get(reference, bytes_max=bytes_max)
        for at in range(0, len(content), PIECE_BYTES):
            await sink.write(content[at : at + PIECE_BYTES])

    async def _reach(self) -> None:
        await trio.sleep(self.faults.delay_s)
        if self.faults.away:
            raise Away("FFD4108", f"storage {self.name} does not answer: it is tried again")


SHELVES: dict[str, MemoryShelf] = {}
"""The shelves of this process that were opened by name; a test makes its own instead."""


@asynccontextmanager
async def open_memory_storage(setting: PluginSetting) -> AsyncIterator[MemoryStorage]:
    """A storage that lives as long as the process; nodes that name the same option `shelf` share it."""
    setting.check_known("shelf")
    yield MemoryStorage(setting.name, SHELVES.setdefault(setting.text("shelf", setting.name), MemoryShelf()))
