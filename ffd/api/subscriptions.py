"""Subscriptions: durable interests of apps, and how far each has come."""

from __future__ import annotations

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.model.errors import Invalid
from ffd.model.ids import parse_uuid
from ffd.model.subscription import Subscription, parse_subscription, subscription_json
from ffd.store import Transaction, events, offsets, subscriptions
from ffd.store.collections import SUBSCRIPTIONS
from ffd.store.subscriptions import SubscriptionRow


async def create_subscription(call: Call) -> Answer:
    """Create a durable subscription; 409 when its name is taken."""
    namespace = call.namespace
    request = parse_subscription(await call.body())
    return Answer(201, subscription_json(await call.desk.subscriptions.create(namespace, request)))


async def put_subscription(call: Call) -> Answer:
    """Create a durable subscription, or change the one of that name."""
    namespace = call.namespace
    request = parse_subscription(await call.body())
    subscription, _ = await call.desk.subscriptions.replace(namespace, request)
    return object_of(subscription_json(subscription))


async def list_subscriptions(call: Call) -> Answer:
    """Find durable subscriptions."""
    return await listing(call, SUBSCRIPTIONS, lambda _tx, row: subscription_json(call.desk.subscriptions.read(row)))


async def get_subscription(call: Call) -> Answer:
    """One durable subscription, by id or by name; with `fetchstatus` how far it has come."""
    row = call.desk.store.peek(lambda tx: _find(tx, call))
    subscription = call.desk.subscriptions.read(row)
    text = subscription_json(subscription)
    if not call.flag("fetchstatus"):
        return object_of(text)
    status = call.desk.store.peek(lambda tx: progress(tx, call, subscription))
    return object_of(f'{text[:-1]},"status":{status}}}')


async def delete_subscription(call: Call) -> Answer:
    """Delete a durable subscription, by id or by name, and its offset."""
    row = call.desk.store.peek(lambda tx: _find(tx, call))
    await call.desk.subscriptions.delete(call.namespace, row.id)
    return Answer(204, None)


def find_subscription(call: Call) -> Subscription:
    """The subscription in the path, by id or by name. Raises NotFound FF10109."""
    return call.desk.subscriptions.read(call.desk.store.peek(lambda tx: _find(tx, call)))


def progress(tx: Transaction, call: Call, subscription: Subscription) -> str:
    """Where a subscription stands: its offset, and, of ffd, how many events are past it and who hears them."""
    current = offset_of(tx, subscription)
    lag = max(0, events.last_sequence(tx, call.namespace.number) - max(current, 0))
    served = [each for each in call.desk.subscriptions.served() if each.subscription.id == subscription.id]
    in_flight = sum(each.statistics.in_flight for each in served)
    active = "true" if served else "false"
    return f'{{"currentOffset":{current},"active":{active},"lag":{lag},"inFlight":{in_flight}}}'


def offset_of(tx: Transaction, subscription: Subscription) -> int:
    """The event up to which a subscription is done: where it was made to begin, until it has moved."""
    current = offsets.read(tx, offsets.SUBSCRIPTION, subscription.id.replace("-", ""))
    return int(subscription.options.first_event or -1) if current is None else current


def _find(tx: Transaction, call: Call) -> SubscriptionRow:
    """The subscription in the path. A name never reads as an id, so there is no doubt which of the two it is."""
    text, number = call.path["id"], call.namespace.number
    try:
        found = subscriptions.find(tx, number, parse_uuid(text))
    except Invalid:
        found = subscriptions.find_by_name(tx, number, text)
    if found is None:
        raise not_found(call, "subscription", text)
    return found
