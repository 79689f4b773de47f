"""What every route that defines something has in common: it is accepted like a message, and can be waited for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import trio

from ffd.api.call import Call
from ffd.api.messages import find_message
from ffd.delivery.confirmations import Told
from ffd.model.errors import Away, Invalid
from ffd.model.event import IDENTITY_CONFIRMED, MESSAGE_CONFIRMED, MESSAGE_REJECTED
from ffd.model.ids import format_uuid
from ffd.outbound.accept import Accepted

Wanted = tuple[bytes, tuple[str, ...]]
"""An id, and the types of events that may speak of it."""


async def define(call: Call, *definitions: Accepted) -> None:
    """Store sealed definitions; on disk when this returns. Raises Full."""
    await call.desk.acceptors[call.namespace.name].define(*definitions)


async def wait_defined(call: Call, definition: Accepted) -> None:
    """Until the definition is confirmed. Raises Invalid FF10269 when it is rejected."""
    await _wait(call, [(definition.id, (MESSAGE_CONFIRMED, MESSAGE_REJECTED))], definition)


async def wait_identity(call: Call, identity: bytes, definitions: Sequence[Accepted]) -> None:
    """Until the identity is confirmed. Raises Invalid FF10269 when one of the messages that it needs is rejected."""
    wanted: list[Wanted] = [(each.id, (MESSAGE_REJECTED,)) for each in definitions]
    await _wait(call, [(identity, (IDENTITY_CONFIRMED,)), *wanted], definitions[0])


async def _wait(call: Call, wanted: Sequence[Wanted], definition: Accepted) -> None:
    call.late = Away(
        "FF10260",
        f"The request with id '{call.request_id}' timed out after {call.timeout_s * 1000:.2f}ms: "
        f"message '{definition.id_text}' is accepted, and will be confirmed or rejected",
    )
    told = await _first(call, wanted)
    if told.type == MESSAGE_REJECTED:
        reason = find_message(call, told.reference).reject_reason
        raise Invalid("FF10269", f"Message with ID '{format_uuid(told.reference)}' was rejected: {reason}")


async def _first(call: Call, wanted: Sequence[Wanted]) -> Told:
    """The first event of those that are waited for."""
    found: list[Told] = []

    async def wait(reference: bytes, types: tuple[str, ...], enough: trio.CancelScope) -> None:
        found.append(await call.desk.confirmations.wait_spoken_of(call.namespace, reference, types))
        enough.cancel()

    async with trio.open_nursery() as nursery:
        for reference, types in wanted:
            nursery.start_soon(partial(wait, reference, types, nursery.cancel_scope))
    return found[0]
