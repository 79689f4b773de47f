"""Private contexts: whose pins are expected next in each, and whose turn it is (FireFly reference 7.5).

On the ledger a private message shows nothing but a hash for each topic, its masked pin, which only the members of its
group can tell from noise: they know what each member's next pin in a context looks like. The rule: of all pins that
look like some member's next one, the lowest that may still be dispatched goes, and nothing passes it. So a context has
the ledger's order on every member (FireFly keeps that of each author only), whatever came first.

What can never be dispatched is passed over: a pin whose nonce was used by another, one that looks like a member's and
has somebody else's message behind it. All who have the content see that alike, and who has not waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ffd.model.context import private_pin
from ffd.store import Transaction, nextpins, pins
from ffd.store.nextpins import NextPin
from ffd.store.pins import MaskedPin

EXPECTED_FIRST = 0


@dataclass(slots=True)
class Line:
    """A private context. `expected` has each member's next pin; `is_new` until the first message was dispatched."""

    context: bytes
    expected: dict[str, NextPin]
    is_new: bool
    changed: set[str] = field(default_factory=set)
    lowest: dict[str, MaskedPin | None] = field(default_factory=dict)


class Lines:
    """The private contexts of a namespace that a page of the aggregator meets; `write` keeps what changed.

    `page` has what the page's own pins look like: nearly always one of them is next, so they are read in one piece.
    """

    def __init__(self, tx: Transaction, namespace: int, page: Iterable[bytes] = ()) -> None:
        self._tx = tx
        self._namespace = namespace
        self._page = frozenset(page)
        self._alike: Mapping[bytes, Iterable[MaskedPin]] | None = None
        self._lines: dict[bytes, Line] = {}
        self._changed = False

    def line(self, context: bytes, topic: str, group: bytes, members: Iterable[str]) -> Line:
        """The context of a topic in a group; members of one that is new all begin with the same nonce."""
        line = self._lines.get(context)
        if line is None:
            expected = nextpins.of_context(self._tx, self._namespace, context)
            is_new = not expected
            for member in members if is_new else ():
                pin = private_pin(topic, group, member, EXPECTED_FIRST)
                expected[member] = NextPin(pin, EXPECTED_FIRST)
            line = self._lines[context] = Line(context, expected, is_new)
        return line

    def first(self, line: Line) -> MaskedPin | None:
        """The pin that goes next in a context, or holds it up: the lowest that looks expected and may go some time."""
        found = [pin for member in line.expected if (pin := self.lowest(line, member)) is not None]
        return min(found) if found else None

    def lowest(self, line: Line, member: str) -> MaskedPin | None:
        """The lowest pin that looks as a member's next one, and may go some time."""
        if member not in line.lowest:
            pins_like_it = self._alike_to(line.expected[member].hash)
            line.lowest[member] = next((pin for pin in pins_like_it if _may_go(pin, line, member)), None)
        return line.lowest[member]

    def _alike_to(self, hash: bytes) -> Iterable[MaskedPin]:
        if hash not in self._page:
            return pins.masked_with(self._tx, self._namespace, hash)
        if self._alike is None:
            self._alike = pins.masked_with_any(self._tx, self._namespace, self._page)
        return self._alike[hash]

    def advance(self, line: Line, topic: str, group: bytes, author: str) -> None:
        """A message of its author was dispatched in a context: the next one is expected."""
        nonce = line.expected[author].nonce + 1
        line.expected[author] = NextPin(private_pin(topic, group, author, nonce), nonce)
        line.lowest.pop(author, None)
        line.changed.add(author)
        self._changed = True

    def look_again(self) -> None:
        """Something else is known of pins that were looked at."""
        self._page = frozenset()
        for line in self._lines.values():
            line.lowest.clear()

    def expecting(self, hash: bytes) -> tuple[bytes, str] | None:
        """The context, and the member, of which a pin that looks like this is the next one."""
        self.write()
        found = nextpins.expecting(self._tx, self._namespace, hash)
        if found is None:
            for line in self._lines.values():
                for member, pin in line.expected.items() if line.is_new else ():
                    if pin.hash == hash:
                        return line.context, member
        return found

    def write(self) -> None:
        """Store what is expected now."""
        if not self._changed:
            return
        self._changed = False
        for line in self._lines.values():
            if line.changed and line.is_new:
                nextpins.begin(self._tx, self._namespace, line.context, line.expected)
                line.is_new = False
            elif line.changed:
                changed = {member: line.expected[member] for member in line.changed}
                nextpins.move(self._tx, self._namespace, line.context, changed)
            line.changed.clear()


def _may_go(pin: MaskedPin, line: Line, member: str) -> bool:
    """Is this the member's, as far as anybody here knows?"""
    if pin.cause is None or pin.author is None:
        return True
    return pin.author == member and pin.context == line.context
