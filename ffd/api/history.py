"""What a subscription would have heard: its filter over a stretch of the past (FireFly reference 10.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ffd.api.call import Answer, Call, bounded, list_of
from ffd.api.subscriptions import find_subscription
from ffd.delivery.enrich import encode
from ffd.delivery.matching import Matcher, compile_filter
from ffd.model.errors import Invalid
from ffd.model.query import Condition, Group, Query
from ffd.store import Transaction, deliveries, search
from ffd.store.collections import EVENTS

SCAN_MAX = 1000
"""Events that one request reads at the most (FireFly's subscription.events.maxScanLength)."""
_DIGITS_MAX = 18


class Stretch(NamedTuple):
    """Sequences from `start` on, and before `end`."""

    start: int
    end: int


async def get_subscription_events(call: Call) -> Answer:
    """The events of the past that belong to a subscription, with what they speak of; always with their count.

    `startsequence` is the first that is looked at, `endsequence` the one before which to stop, a thousand of them at
    the most; with neither it is the page of events that the filter asks for. `limit` keeps the last of what was found.
    """
    subscription = find_subscription(call)
    query, matches = call.query("events"), compile_filter(subscription.filter)
    stretch = stretch_of(call.value("startsequence"), call.value("endsequence"), query.limit)
    texts = await call.desk.store.read(lambda tx: _matching(tx, call.namespace.number, query, stretch, matches))
    return list_of(texts, len(texts))


def stretch_of(start: str, end: str, limit: int) -> Stretch | None:
    """Which sequences to look at; None when neither end is given.

    Raises Invalid FF10464 for what is no number, FF10463 beyond `SCAN_MAX`.
    """
    first, beyond = _sequence("startsequence", start), _sequence("endsequence", end)
    if first is None and beyond is None:
        return None
    if first is None:
        return Stretch(max(0, (beyond or 0) - min(limit or SCAN_MAX, SCAN_MAX)), beyond or 0)
    if beyond is None:
        return Stretch(first, first + SCAN_MAX)
    if beyond - first > SCAN_MAX:
        raise Invalid(
            "FF10463",
            f"Event scan limit breached with start sequence {first} and end sequence {beyond}: ask for {SCAN_MAX}",
        )
    return Stretch(first, beyond)


def _sequence(name: str, text: str) -> int | None:
    if not text:
        return None
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_MAX):
        raise Invalid("FF10464", f"Sequence ID did not parse to an integer: {name} is {text[:40]!r}, write a number")
    # A negative one is FireFly's own word for none.
    return int(text) if int(text) >= 0 else None


def _matching(tx: Transaction, namespace: int, query: Query, stretch: Stretch | None, matches: Matcher) -> list[str]:
    """The events that the query asks for and the subscription takes, as JSON."""
    limit = query.limit
    if stretch is not None:
        inside = Group("and", (Condition("gte", "sequence", stretch.start), Condition("lt", "sequence", stretch.end)))
        query = replace(search.narrowed(query, inside), limit=SCAN_MAX)
    ids = [event.id for event in search.search(tx, EVENTS, namespace, replace(query, count=False)).rows]
    found = [event for event in encode(tx, deliveries.of_ids(tx, ids), with_data=False) if matches(event)]
    return bounded(f"{event.text}}}" for event in found[-limit:])
