"""Blobs of which a part is here: what came before a transfer broke off, kept so that the next try can go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

from ffd.model.errors import Away
from ffd.world import FileSink, World

FOLDER = ".partial"
KEPT_MAX = 64
"""Parts that are kept; one more takes the place of the oldest."""
KEPT_NS = 7 * 24 * 3600 * 1_000_000_000
"""How long a part is kept: its sender has given up, or goes another way."""


class Partials:
    """The parts in `folder`: each a file that is named by the time of its first try, and by its key."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._folder = folder / FOLDER

    async def take_up(self, key: bytes) -> FileSink:
        """The part that is called `key`, to go on with; a new one if there is none. Raises Away, OSError."""
        with self._usable():
            self._world.make_directory(self._folder)
            path = self._find(key)
            if path is None:
                self._make_room()
                path = self._folder / f"{self._world.now():020d}-{key.hex()}"
            sink = await self._world.resume_file(path)
        if sink is None:
            raise Away("FFD3106", "the blob is coming in already, on another connection: try again")
        return sink

    async def size(self, key: bytes) -> int:
        """The bytes of the part that is called `key`. Raises Away."""
        with self._usable():
            path = self._find(key)
            if path is None:
                return 0
            source = await self._world.open_file(path)
            async with aclosing(source):
                return source.size

    def _find(self, key: bytes) -> Path | None:
        name = key.hex()
        found = [each for each in self._world.names_in(self._folder) if each.endswith(name)]
        return self._folder / found[0] if found else None

    def _make_room(self) -> None:
        """Remove what is too old, and the oldest beyond what is kept. Whoever is at it has to begin anew."""
        names = self._world.names_in(self._folder)
        oldest = f"{self._world.now() - KEPT_NS:020d}"
        for number, name in enumerate(names):
            if name < oldest or len(names) - number >= KEPT_MAX:
                self._world.remove_file(self._folder / name)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Away(
                "FFD3102", f"{self._folder} cannot be used ({error.strerror}): mend that, then try again"
            ) from error
