"""Messages: send a broadcast, find messages, and what belongs to one."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.api.events import event_json
from ffd.delivery.enrich import transaction_json, values_json
from ffd.model.data import data_json
from ffd.model.errors import Away, FfdError, Invalid, NotFound
from ffd.model.event import MESSAGE_REJECTED
from ffd.model.ids import format_uuid
from ffd.model.message import message_json
from ffd.model.query import Condition, Group
from ffd.outbound.draft import Draft, parse_message
from ffd.store import Transaction, deliveries, messages
from ffd.store.collections import EVENTS, MESSAGES
from ffd.store.messages import StoredMessage


async def broadcast(call: Call) -> Answer:
    """Send a broadcast; with `confirm` the answer waits until it is confirmed."""
    return await send(call, parse_message(await call.body()))


async def send(call: Call, draft: Draft) -> Answer:
    """Accept a message; with `confirm` wait until it is settled."""
    namespace = call.namespace
    (outcome,) = await call.desk.acceptors[namespace.name].accept([draft])
    if isinstance(outcome, FfdError):
        raise outcome
    if not call.flag("confirm"):
        return Answer(202, outcome.json(namespace.name))
    call.late = Away(
        "FF10260",
        f"The request with id '{call.request_id}' timed out after {call.timeout_s * 1000:.2f}ms: "
        f"message '{outcome.id_text}' is accepted, and will be confirmed or rejected",
    )
    settled = await call.desk.confirmations.wait_settled(namespace, outcome.id)
    stored = find_message(call, outcome.id)
    if settled == MESSAGE_REJECTED:
        raise Invalid("FF10269", f"Message with ID '{outcome.id_text}' was rejected: {stored.reject_reason}")
    return object_of(stored_json(stored, namespace.name))


async def list_messages(call: Call) -> Answer:
    """Find messages; with `fetchdata` their values are inside."""
    name, with_data = call.namespace.name, call.flag("fetchdata")

    def show(tx: Transaction, message: StoredMessage) -> str:
        return with_values(tx, message, name) if with_data else stored_json(message, name)

    return await listing(call, MESSAGES, show)


async def get_message(call: Call) -> Answer:
    """One message; with `fetchdata` its values are inside."""
    message, name = find_message(call, call.id("id")), call.namespace.name
    if call.flag("fetchdata"):
        return object_of(await call.desk.store.read(lambda tx: with_values(tx, message, name)))
    return object_of(stored_json(message, name))


async def get_message_data(call: Call) -> Answer:
    """The data items of a message, in its order."""
    message = find_message(call, call.id("id"))
    items = await call.desk.store.read(lambda tx: messages.data_of(tx, message.sequence))
    return object_of(f"[{','.join([data_json(item, namespace=call.namespace.name) for item in items])}]")


async def get_message_events(call: Call) -> Answer:
    """The events that speak of a message, or of one of its data items."""
    message = find_message(call, call.id("id"))
    items = await call.desk.store.read(lambda tx: messages.data_of(tx, message.sequence))
    spoken_of = [format_uuid(message.id), *(item.id for item in items)]
    only = Group("or", tuple(Condition("eq", "reference", id) for id in spoken_of))
    return await listing(call, EVENTS, lambda _tx, event: event_json(event, call.namespace.name), only=only)


async def get_message_transaction(call: Call) -> Answer:
    """The transaction of the batch that carries a message."""
    message = find_message(call, call.id("id"))
    id = message.txid
    if id is None:
        raise NotFound("FF10210", f"Batch not set: message '{format_uuid(message.id)}' is in no batch yet")
    found = call.desk.store.peek(lambda tx: deliveries.transaction(tx, call.namespace.name, id))
    if found is None:
        raise not_found(call, "transaction", format_uuid(id))
    return object_of(transaction_json(id, call.namespace.name, *found))


def stored_json(message: StoredMessage, namespace: str) -> str:
    """A message as FireFly shows it."""
    return _json(message, namespace, message.data, data_last=False)


def with_values(tx: Transaction, message: StoredMessage, namespace: str) -> str:
    """A message with the values of its data inside: FireFly's MessageInOut."""
    values = deliveries.values_of(tx, [message.sequence])[message.sequence]
    return _json(message, namespace, values_json(values), data_last=True)


def _json(message: StoredMessage, namespace: str, data: str, *, data_last: bool) -> str:
    return message_json(
        message.header, message.hash, data,
        local_namespace=namespace,
        batch=format_uuid(message.batch) if message.batch else "",
        txid=format_uuid(message.txid) if message.txid else "",
        state=message.state, confirmed=message.confirmed, reject_reason=message.reject_reason or "",
        pins=message.pins.split(",") if message.pins else (), idempotency_key=message.idempotency_key or "",
        data_last=data_last,
    )  # fmt: skip


def find_message(call: Call, id: bytes) -> StoredMessage:
    """The message of this id. Raises NotFound FF10109."""
    found = call.desk.store.peek(lambda tx: messages.find(tx, call.namespace.number, id))
    if found is None:
        raise not_found(call, "message", format_uuid(id))
    return found
