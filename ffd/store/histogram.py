"""Counts over time: one walk over a table's namespace, whatever the number of buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ffd.store.collection import Collection
from ffd.store.collections import BLOCKCHAINEVENTS, EVENTS, MESSAGES, OPERATIONS, TRANSACTIONS
from ffd.store.transaction import Transaction

Counts = dict[int, dict[str, int]]
"""By bucket, by type; a collection without types has the empty one."""


class _Charted(NamedTuple):
    collection: Collection[Any]
    time: str
    type: str


CHARTED: Mapping[str, _Charted] = {
    "blockchainevents": _Charted(BLOCKCHAINEVENTS, "timestamp", ""),
    "events": _Charted(EVENTS, "created", "type"),
    "messages": _Charted(MESSAGES, "created", "type"),
    "operations": _Charted(OPERATIONS, "created", "type"),
    "transactions": _Charted(TRANSACTIONS, "created", "type"),
}
"""The collections that have a chart: their field of time, and that of their types."""


def count(tx: Transaction, name: str, namespace: int, *, start: int, end: int, width: int, buckets: int) -> Counts:
    """How many rows of a namespace there are from `start` up to `end`, by bucket of so many nanoseconds and by type.

    What is past the last whole bucket counts to it.
    """
    collection, time_field, type_field = CHARTED[name]
    time = collection.columns[time_field].sql
    type = collection.columns[type_field].sql if type_field else "''"
    rows = tx.execute(
        f"""
        SELECT ({time} - ?) / ?, {type}, count(*) FROM {collection.source}
         WHERE {collection.namespace} = ? AND {time} >= ? AND {time} < ? GROUP BY 1, 2""",
        (start, width, namespace, start, end),
    )
    found: Counts = {}
    for bucket, kind, many in rows:
        types = found.setdefault(min(int(bucket), buckets - 1), {})
        types[kind or ""] = types.get(kind or "", 0) + many
    return found
