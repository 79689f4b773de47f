"""Shared storage: put bytes where every member can read them, get them back by reference."""

from __future__ import annotations

from typing import Protocol


class SharedStorage(Protocol):
    """The contract of a storage plugin.

    `put` is idempotent: the same bytes give the same reference. What it returned stays readable by all members. `get`
    never gives bytes that differ from those that were put, as far as the reference can tell.
    """

    name: str
    plugin: str

    async def put(self, content: bytes) -> str:
        """Store `content`; the reference, once it will not be lost. Raises Away, Full."""

    async def get(self, reference: str, *, bytes_max: int) -> bytes:
        """The bytes behind `reference`. Raises NotFound (not there, or not yet), Away, Full beyond `bytes_max`, and
        Invalid when what is there is not what was put."""
