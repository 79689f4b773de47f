"""Shared storage in a directory: a file is named by the SHA-256 of its content, so what is read can be checked."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path

from ffd.model.errors import Away, FfdError, Full, Invalid, NotFound
from ffd.model.ids import parse_hash, sha256
from ffd.ports.plugin import PluginSetting
from ffd.ports.sharedstorage import Sink, Source
from ffd.world import World

log = logging.getLogger(__name__)

ERRNO_NO_SPACE = (28, 122)  # ENOSPC, EDQUOT


class DirectoryStorage:
    """Content-addressed files below `root`, in 256 folders by their first two digits."""

    plugin = "directory"

    def __init__(self, name: str, root: Path, world: World) -> None:
        self.name = name
        self._root = root
        self._world = world
        try:
            # All at once, so that no payload waits for the disk to keep a folder's name.
            world.make_directory(root, [f"{number:02x}" for number in range(256)])
            world.remove_unfinished(root)
        except OSError as error:
            # It may be another machine's, and away: the node does without it what can be done without it.
            log.warning("%s cannot be used (%s): what needs it waits until it is there", root, error.strerror)

    async def put(self, content: bytes) -> str:
        # Written even when it is there: what is there may have been altered, and a look costs as much as the writing.
        reference = sha256(content).hex()
        await self._write(reference, content)
        return reference

    async def get(self, reference: str, *, bytes_max: int) -> bytes:
        digits = _check_reference(reference)
        path = self._path(digits)
        with _reading(path):
            content = await self._world.read_file(path, bytes_max=bytes_max)
        _check_content(path, sha256(content).hex(), digits)
        return content

    async def put_stream(self, source: Source) -> str:
        with _writing(self._root):
            self._world.make_directory(self._root)
            sink = await self._world.create_file(self._root)
        async with aclosing(sink):
            while piece := await source.read():
                with _writing(self._root):
                    await sink.write(piece)
            with _writing(self._root):
                reference = (await sink.finish()).hex()
                self._world.make_directory(self._path(reference).parent)
                await sink.keep(self._path(reference))
        return reference

    async def get_stream(self, reference: str, sink: Sink, *, bytes_max: int) -> None:
        digits = _check_reference(reference)
        path = self._path(digits)
        with _reading(path):
            source = await self._world.open_file(path)
        async with aclosing(source):
            if source.size > bytes_max:
                raise Full("FFD4107", f"{path} has more than {bytes_max} bytes: nothing that large is read")
            left = bytes_max
            while left >= 0 and (piece := await self._next_piece(path, source)):
                left -= len(piece)
                await sink.write(piece)
            _check_content(path, source.sha256().hex(), digits)

    async def _next_piece(self, path: Path, source: Source) -> bytes:
        with _reading(path):
            return await source.read()

    async def _write(self, digits: str, content: bytes) -> None:
        path = self._path(digits)
        with _writing(path):
            await self._world.write_file(path, content, make_folder=True)

    def _path(self, digits: str) -> Path:
        return self._root / digits[:2] / digits[2:]


@asynccontextmanager
async def open_directory_storage(setting: PluginSetting) -> AsyncIterator[DirectoryStorage]:
    """The storage in the folder of the option `path` (default `storage` in the state folder)."""
    setting.check_known("path")
    yield DirectoryStorage(setting.name, setting.home / setting.text("path", "storage"), setting.world)


def _check_reference(reference: str) -> str:
    # Only digits reach the file system: no reference from a ledger can lead out of the directory.
    try:
        return parse_hash(reference).hex()
    except Invalid:
        raise Invalid(
            "FFD4104", f"{reference[:80]!r} is no reference of a directory storage: 64 hex digits are"
        ) from None


def _check_content(path: Path, found: str, digits: str) -> None:
    if found != digits:
        raise Invalid(
            "FFD4101", f"{path} was altered: its SHA-256 is {found}; restore it from another member or a backup"
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound("FFD4102", f"{path} is not there: its author has not stored it yet") from None
    except OSError as error:
        raise Away("FFD4103", f"{path} cannot be read ({error.strerror}): it is tried again") from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _as_refusal(path, error) from error


def _as_refusal(path: Path, error: OSError) -> FfdError:
    if error.errno in ERRNO_NO_SPACE:
        return Full("FFD4105", f"no room to write {path}: make room; it is tried again")
    return Away("FFD4106", f"{path} cannot be written ({error.strerror}): it is tried again")
