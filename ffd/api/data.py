"""Data: what messages carry, by itself."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, object_of, one_of
from ffd.model.data import data_json
from ffd.store.search import DATA


async def list_data(call: Call) -> Answer:
    """Find data items."""
    return await listing(call, DATA, lambda _tx, item: data_json(item, namespace=call.namespace.name))


async def get_data(call: Call) -> Answer:
    """One data item."""
    return object_of(data_json(one_of(call, DATA, "id", "data"), namespace=call.namespace.name))


async def get_data_value(call: Call) -> Answer:
    """The value of a data item: the sender's own text."""
    value = one_of(call, DATA, "id", "data").value
    return object_of("null" if value is None else value)
