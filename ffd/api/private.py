"""Messages to some: private ones, and requests that wait for their reply."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from ffd.api.call import Answer, Call, object_of
from ffd.api.messages import find_message, with_values
from ffd.delivery.confirmations import Confirmations
from ffd.model.errors import Away, FfdError, Invalid
from ffd.model.event import MESSAGE_REJECTED
from ffd.model.message import BROADCAST
from ffd.model.namespace import Namespace
from ffd.outbound import recipients
from ffd.outbound.draft import Draft, WireGroup, parse_private
from ffd.store import events


async def send_private(call: Call) -> Answer:
    """Send a private message. All of it is checked, and then refused: private messages are not there yet."""
    raise _refusal(call, *parse_private(await call.body()))


async def request_reply(call: Call) -> Answer:
    """Send a request, and wait for its reply: the first confirmed message whose `cid` is the request's id.

    FireFly knows private requests only. Of ffd are requests by broadcast (`header.type` is `broadcast`): whoever hears
    one may answer, by a broadcast too.
    """
    draft, group = parse_private(await call.body())
    by_broadcast = (draft.header.type or "").lower() == BROADCAST
    _check_request(draft, group, by_broadcast)
    if not by_broadcast:
        raise _refusal(call, draft, group)
    namespace, store = call.namespace, call.desk.store
    since = store.peek(events.last_sequence)
    (outcome,) = await call.desk.acceptors[namespace.name].broadcast([draft])
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


def _check_request(draft: Draft, group: WireGroup, by_broadcast: bool) -> None:
    """Refuse what is no request, in FireFly's order: FF10271, FF10261, FF10262."""
    if not (by_broadcast or draft.header.group or group.members):
        raise Invalid(
            "FF10271",
            "For request messages you must specify a group of private recipients: or set header.type to broadcast",
        )
    if not draft.header.tag:
        raise Invalid("FF10261", "For request messages 'header.tag' must be set, so that a responder can know it")
    if draft.header.cid:
        raise Invalid("FF10262", "For request messages 'header.cid' must be unset: the reply will carry one")


def _refusal(call: Call, draft: Draft, group: WireGroup) -> FfdError:
    """Why a private message is not sent. Raises what is wrong with it in itself, in FireFly's order."""
    namespace = call.namespace
    acceptor = call.desk.acceptors[namespace.name]
    acceptor.check_author(draft)
    recipients.resolve(call.desk.store, namespace, draft.header.group or "", group)
    acceptor.check(draft)
    return Invalid(
        "FF10414", "This action is not supported in this namespace: this version of ffd has no private messages yet"
    )


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
