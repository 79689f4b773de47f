"""Shared storage in a directory: a file is named by the SHA-256 of its content, so what is read can be checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ffd.model.errors import Away, FfdError, Full, Invalid, NotFound
from ffd.model.ids import parse_hash, sha256
from ffd.ports.plugin import PluginSetting
from ffd.world import World

ERRNO_NO_SPACE = (28, 122)  # ENOSPC, EDQUOT


class DirectoryStorage:
    """Content-addressed files below `root`, in 256 folders by their first two digits."""

    plugin = "directory"

    def __init__(self, name: str, root: Path, world: World) -> None:
        self.name = name
        self._root = root
        self._world = world
        # All at once, so that no payload waits for the disk to keep a folder's name.
        world.make_directory(root, [f"{number:02x}" for number in range(256)])

    async def put(self, content: bytes) -> str:
        # Written even when it is there: what is there may have been altered, and a look costs as much as the writing.
        reference = sha256(content).hex()
        await self._write(reference, content)
        return reference

    async def get(self, reference: str, *, bytes_max: int) -> bytes:
        digits = _check_reference(reference)
        content = await self._read(digits, bytes_max)
        if sha256(content).hex() != digits:
            raise Invalid(
                "FFD4101",
                f"{self._path(digits)} was altered: its SHA-256 is {sha256(content).hex()}; restore it from another "
                f"member or a backup",
            )
        return content

    async def _read(self, digits: str, bytes_max: int) -> bytes:
        try:
            return await self._world.read_file(self._path(digits), bytes_max=bytes_max)
        except FileNotFoundError:
            raise NotFound("FFD4102", f"{self._path(digits)} is not there: its author has not stored it yet") from None
        except OSError as error:
            raise Away(
                "FFD4103", f"{self._path(digits)} cannot be read ({error.strerror}): it is tried again"
            ) from error

    async def _write(self, digits: str, content: bytes) -> None:
        path = self._path(digits)
        try:
            await self._world.write_file(path, content, make_folder=True)
        except OSError as error:
            raise _as_refusal(path, error) from error

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


def _as_refusal(path: Path, error: OSError) -> FfdError:
    if error.errno in ERRNO_NO_SPACE:
        return Full("FFD4105", f"no room to write {path}: make room; it is tried again")
    return Away("FFD4106", f"{path} cannot be written ({error.strerror}): it is tried again")
