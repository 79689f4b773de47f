"""One shared storage that several nodes are on, whatever its kind: how a contract test opens it, and harms it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from ffd.model.errors import Away, Full
from ffd.plugins.registry import storage_opener
from ffd.plugins.sharedstorage import memory
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import SharedStorage
from ffd.ports.wallet import Wallet
from ffd.world import RealWorld, World
from tests.plugins.ledgers import key_of

PIECE_BYTES = 1000


@dataclass
class Text:
    """Content as a stream, and a stream as content; `fails_at` is where its end breaks off."""

    content: bytes = b""
    at: int = 0
    fails_at: int | None = None

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.fails_at is not None and self.at >= self.fails_at:
            raise Away("FFD9999", "the stream broke off")
        piece = self.content[self.at : self.at + PIECE_BYTES]
        self.at += len(piece)
        return piece

    async def write(self, piece: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self.fails_at is not None and len(self.content) >= self.fails_at:
            raise Full("FFD9999", "the stream takes no more")
        self.content += piece


class SharedStorages(ABC):
    """A storage below `root`, and each node's view of it."""

    plugin: str

    def __init__(self, root: Path, lasting: AsyncExitStack) -> None:
        self.root = root
        self._lasting = lasting

    @property
    @abstractmethod
    def options(self) -> Mapping[str, object]:
        """What every node writes in its configuration."""

    @abstractmethod
    def alter(self, reference: str, content: bytes) -> None:
        """Change what is stored behind everybody's back."""

    @asynccontextmanager
    async def visit(
        self, name: str, world: World | None = None, **options: object
    ) -> AsyncGenerator[SharedStorage, None]:
        """The view of a node that closes it again."""
        all_options = {**self.options, **options}
        setting = PluginSetting(world or RealWorld(), "local", all_options, self.root / name, Wallet(key_of(name)))
        async with storage_opener(self.plugin)(setting) as storage:
            yield storage

    async def node(self, name: str, world: World | None = None) -> SharedStorage:
        """The view of a node that stays."""
        return await self._lasting.enter_async_context(self.visit(name, world))


class DirectoryStorages(SharedStorages):
    plugin = "directory"

    @property
    def folder(self) -> Path:
        return self.root / "storage"

    @property
    def options(self) -> Mapping[str, object]:
        return {"path": str(self.folder)}

    def path(self, reference: str) -> Path:
        """Where the content of a reference lies."""
        return self.folder / reference[:2] / reference[2:]

    def alter(self, reference: str, content: bytes) -> None:
        self.path(reference).write_bytes(content)

    def files(self) -> list[Path]:
        """All that lies in the storage."""
        return [path for path in self.folder.rglob("*") if not path.is_dir()]


class MemoryStorages(SharedStorages):
    plugin = "memory"

    @property
    def options(self) -> Mapping[str, object]:
        return {"shelf": str(self.root)}

    def alter(self, reference: str, content: bytes) -> None:
        memory.SHELVES[str(self.root)].content[reference] = content


STORAGES: Mapping[str, type[SharedStorages]] = {each.plugin: each for each in (DirectoryStorages, MemoryStorages)}
