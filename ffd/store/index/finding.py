"""Bytes looked for in many bytes: the one thing that a search does most.

RE2 finds what it knows to be literal with the processor's widest instructions, several times as fast as `bytes.find`
does, but takes ten microseconds for each hit, in which that is far faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol, cast

import re2

HITS = 3_000
"""Hits from which on what is looked for is taken to be common."""
SAMPLE = 3
"""After so many hits it is known how far they are apart."""
NEAR = 8_192
"""Bytes between two hits, from which on the next one is found sooner by `bytes.find`."""


class _Found(Protocol):
    def start(self) -> int: ...


class _Pattern(Protocol):
    def search(self, text: bytes, pos: int = 0) -> _Found | None: ...
    def finditer(self, text: bytes) -> Iterator[_Found]: ...


@lru_cache(maxsize=16)
def _compiled(needle: bytes, nibble: int | None) -> _Pattern:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    pattern = b"".join([b"\\x%02x" % byte for byte in needle])
    if nibble is not None:
        pattern += b"[\\x%x0-\\x%xf]" % (nibble, nibble)
    return cast("_Pattern", re2.compile(pattern, options))


class Search:
    """A walk from hit to hit. `jump` may move it on between two of them.

    With a `nibble` there are fewer: those that have a byte behind them that begins so, as far as that costs nothing.
    """

    def __init__(self, body: bytes, needle: bytes, nibble: int | None = None) -> None:
        self._body = body
        self._needle = needle
        self._nibble = nibble
        self.jump = 0
        """Where the next hit is looked for."""
        self.hits = 0

    def __iter__(self) -> Iterator[int]:
        """Where the needle stands, also where one overlaps another."""
        pattern = _compiled(self._needle, self._nibble)
        if self._overlaps():
            while self.hits < SAMPLE or self.jump > self.hits * NEAR:
                found = pattern.search(self._body, self.jump)
                if found is None:
                    return
                yield self._hit(found.start())
        else:
            for found in pattern.finditer(self._body):
                at = found.start()
                if at >= self.jump:
                    yield self._hit(at)
                if self.hits >= SAMPLE and self.jump <= self.hits * NEAR:
                    break
            else:
                return
        at = self._body.find(self._needle, self.jump)
        while at >= 0:
            yield self._hit(at)
            at = self._body.find(self._needle, self.jump)

    def _overlaps(self) -> bool:
        """May a hit begin within another?"""
        needle = self._needle
        within = any(needle.startswith(needle[at:]) for at in range(1, len(needle)))
        return within or (self._nibble is not None and needle[0] >> 4 == self._nibble)

    def _hit(self, at: int) -> int:
        self.hits += 1
        self.jump = at + 1
        return at
