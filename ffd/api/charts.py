"""Histograms: how many things of a collection came to be, by time and type (FireFly's ChartHistogram)."""

from __future__ import annotations

from typing import NamedTuple

from ffd.api.call import Answer, Call, object_of
from ffd.model.canonical import json_string
from ffd.model.errors import Invalid
from ffd.model.times import format_time, parse_stored_time
from ffd.store import histogram
from ffd.store.histogram import CHARTED, Counts

BUCKETS_MAX = 100
NONE_HERE = frozenset({"tokentransfers"})
"""Collections that FireFly charts, and of which ffd has no thing at all."""


class Span(NamedTuple):
    """A time from `start` up to `end`, in nanoseconds, in so many equal `buckets`; the last one takes the rest."""

    start: int
    end: int
    buckets: int

    @property
    def width(self) -> int:
        return max(1, (self.end - self.start) // self.buckets)


async def get_histogram(call: Call) -> Answer:
    """How many things of a collection came to be between `startTime` and `endTime`, in so many `buckets`, by type.

    Collections: blockchainevents, events, messages, operations, tokentransfers, transactions. All are counted, so that
    no bucket is capped.
    """
    span, collection = _span(call), call.path["collection"]
    namespace = call.namespace.number
    if collection not in CHARTED and collection not in NONE_HERE:
        raise Invalid("FF10301", f"{collection[:40]} collection is not supported: chart one of {', '.join(CHARTED)}")
    if span.start == span.end:
        return object_of("[]")
    counts: Counts = {}
    if collection in CHARTED:
        async with call.desk.charting:
            counts = await call.desk.store.read(
                lambda tx: histogram.count(
                    tx, collection, namespace, start=span.start, end=span.end, width=span.width, buckets=span.buckets
                )
            )
    return object_of(f"[{','.join([_bucket(span, n, counts.get(n, {})) for n in range(span.buckets)])}]")


def _span(call: Call) -> Span:
    """What the query asks for. Raises Invalid FF10299, FF10298, FF10300, in FireFly's order."""
    start, end = _time(call, "startTime"), _time(call, "endTime")
    text = call.value("buckets")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise _no_number("buckets", text)
    if not 1 <= int(text) <= BUCKETS_MAX:
        raise Invalid("FF10298", f"Number of time intervals must be between 1 and {BUCKETS_MAX}: {text} is not")
    if start > end:
        raise Invalid("FF10300", "Start time must be before end time: exchange startTime and endTime")
    return Span(start, end, int(text))


def _time(call: Call, name: str) -> int:
    text = call.value(name)
    try:
        return parse_stored_time(text)
    except Invalid:
        raise _no_number(name, text) from None


def _no_number(name: str, text: str) -> Invalid:
    return Invalid("FF10299", f"Invalid {name}. Must be a number, or a time as of RFC 3339: {text[:40]!r} is not")


def _bucket(span: Span, number: int, types: dict[str, int]) -> str:
    shown = [f'{{"count":"{count}","type":{json_string(type)}}}' for type, count in sorted(types.items()) if type]
    return (
        f'{{"count":"{sum(types.values())}","timestamp":"{format_time(span.start + number * span.width)}"'
        f',"types":[{",".join(shown)}],"isCapped":false}}'
    )
