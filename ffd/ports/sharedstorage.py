"""Shared storage: put bytes where every member can read them, get them back by reference."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Content that is read once, piece by piece."""

    async def read(self) -> bytes:
        """The next piece; nothing at the end."""


class Sink(Protocol):
    """Where content goes, piece by piece."""

    async def write(self, piece: bytes) -> None:
        """Take the next piece."""


class SharedStorage(Protocol):
    """The contract of a storage plugin.

    `put` is idempotent: the same bytes give the same reference, whole or as a stream. What it returned stays readable
    by all members. `get` never gives bytes that differ from those that were put, as far as the reference can tell.

    Streams are for what is too large to be held in memory: no more than a few pieces of one ever are. What a source or
    a sink raises comes out as it is.
    """

    name: str
    plugin: str

    async def put(self, content: bytes) -> str:
        """Store `content`; the reference, once it will not be lost. Raises Away, Full."""

    async def get(self, reference: str, *, bytes_max: int) -> bytes:
        """The bytes behind `reference`. Raises NotFound (not there, or not yet), Away, Full beyond `bytes_max`, and
        Invalid when what is there is not what was put."""

    async def put_stream(self, source: Source) -> str:
        """Store all that `source` has, or nothing; the reference, once it will not be lost. Raises Away, Full."""

    async def get_stream(self, reference: str, sink: Sink, *, bytes_max: int) -> None:
        """Write the bytes behind `reference` to `sink`. What is there counts only when this returns: that it is not
        what was put may show at its end. Raises as `get`."""
