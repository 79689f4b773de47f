"""Messages to some: private ones, and requests that wait for their reply."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from ffd.api.call import Answer, Call, object_of
from ffd.api.messages import find_message, send, with_values
from ffd.delivery.confirmations import Confirmations
from ffd.model.errors import Away, FfdError, Invalid
from ffd.model.event import MESSAGE_REJECTED
from ffd.model.message import BROADCAST
from ffd.model.namespace import Namespace
from ffd.outbound.draft import Draft, parse_private
from ffd.store import events


async def send_private(call: Call) -> Answer:
    """Send a message to the members of a group; with `confirm` the answer waits until it is confirmed.

    `group.members` describes a group, which is made when it is new; `header.group` names one by its hash.
    `header.txtype` is `unpinned` for a message that goes past the ledger: its order is that in which this node sends.
    """
    return await send(call, parse_private(await call.body()))


async def request_reply(call: Call) -> Answer:
    """Send a request, and wait for its reply: the first confirmed message whose `cid` is the request's id.

    FireFly knows private requests only. Of ffd are requests by broadcast (`header.type` is `broadcast`): whoever hears
    one may answer, by a broadcast too.
    """
    draft = parse_private(await call.body())
    if (draft.header.type or "").lower() == BROADCAST:
        draft.to = None
    _check_request(draft)
    namespace, store = call.namespace, call.desk.store
    since = store.peek(events.last_sequence)
    (outcome,) = await call.desk.acceptors[namespace.name].accept([draft])
    if isinstance(outcome, FfdError):
        raise outcome
    call.late = Away(
        "FF10260",
        f"The request with id '{call.request_id}' timed out after {call.timeout_s * 1000:.2f}ms: "
        f"message '{outcome.id_text}' is sent, and no reply came so far",
    )
    reply = await _Request(call.desk.confirmations, namespace, outcome.id, since).wait_replied()
    if reply is None:
        reason = find_message(call, outcome.id).reject_reason
        raise Invalid("FF10269", f"Message with ID '{outcome.id_text}' was rejected: {reason}")
    message = find_message(call, reply)
    return object_of(await store.read(lambda tx: with_values(tx, message, namespace.name)))


def _check_request(draft: Draft) -> None:
    """Refuse what is no request, in FireFly's order: FF10271, FF10261, FF10262."""
    if draft.to is not None and not (draft.header.group or draft.to.members):
        raise Invalid(
            "FF10271",
            "For request messages you must specify a group of private recipients: or set header.type to broadcast",
        )
    if not draft.header.tag:
        raise Invalid("FF10261", "For request messages 'header.tag' must be set, so that a responder can know it")
    if draft.header.cid:
        raise Invalid("FF10262", "For request messages 'header.cid' must be unset: the reply will carry one")


@dataclass(slots=True)
class _Request:
    """A request that was sent, and what became of it; `since` is the events' sequence before that."""

    confirmations: Confirmations
    namespace: Namespace
    id: bytes
    since: int
    reply: bytes | None = None

    async def wait_replied(self) -> bytes | None:
        """Until there is a reply, whose id this is; None as soon as the request itself is rejected."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait_answered, nursery.cancel_scope)
            nursery.start_soon(self._wait_rejected, nursery.cancel_scope)
        return self.reply

    async def _wait_answered(self, scope: trio.CancelScope) -> None:
        self.reply = await self.confirmations.wait_answered(self.namespace, self.id, since=self.since)
        scope.cancel()

    async def _wait_rejected(self, scope: trio.CancelScope) -> None:
        await self.confirmations.wait_spoken_of(self.namespace, self.id, {MESSAGE_REJECTED})
        scope.cancel()
