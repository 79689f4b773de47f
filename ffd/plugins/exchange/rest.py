"""What is left of a blob that was sent in part."""

from __future__ import annotations

from ffd.model.errors import Away
from ffd.ports.sharedstorage import Source


class Rest:
    """A source without its beginning; `sent` is what of it was read here, in bytes."""

    def __init__(self, source: Source, first: bytes) -> None:
        self._source = source
        self._first = first

    @classmethod
    async def after(cls, offset: int, source: Source) -> Rest:
        """What follows the first `offset` bytes. Raises Away when there are not so many."""
        left = offset
        while left > 0:
            piece = await source.read()
            if not piece:
                raise Away("FFD4403", f"the recipient has {offset} bytes of a shorter blob: it is sent anew")
            if len(piece) > left:
                return cls(source, piece[left:])
            left -= len(piece)
        return cls(source, b"")

    async def read(self) -> bytes:
        """The next piece; nothing at the end."""
        if self._first:
            first, self._first = self._first, b""
            return first
        return await self._source.read()
