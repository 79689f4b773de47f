"""The keys that this node signs with."""

from __future__ import annotations

from ffd.api.call import Answer, Call, object_of
from ffd.model.canonical import json_string


async def create_key(call: Call) -> Answer:
    """Make a new signing key, for an identity of its own; on disk when this is answered."""
    await call.body()
    return Answer(201, _key_json(await call.desk.wallet.make()))


async def list_keys(call: Call) -> Answer:
    """The keys that this node can sign with, its organisation's first. Their private halves never leave its disk."""
    return object_of(f"[{','.join([_key_json(key) for key in call.desk.wallet.public_keys()])}]")


def _key_json(key: str) -> str:
    return f'{{"key":{json_string(key)}}}'
