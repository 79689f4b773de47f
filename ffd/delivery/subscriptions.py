"""The subscription manager: one dispatcher for each subscription that an app is connected for.

Of several connections for one durable subscription, in this process or another, one leads and is served; the others
stand by and take over. A subscription that does not exist yet is waited for; one that is changed or deleted has its
dispatcher ended, and begun anew from where it stands.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import trio
from msgspec import structs

from ffd.delivery.dispatcher import READ_AHEAD_MAX, Dispatcher, DispatcherStatistics
from ffd.delivery.matching import compile_filter
from ffd.delivery.places import Places
from ffd.delivery.recent import PAGE_EVENTS, RecentEvents
from ffd.model.errors import Conflict, Full, NotFound, first_of
from ffd.model.ids import format_uuid
from ffd.model.namespace import EVERY_NAMESPACE, EVERYWHERE, Namespace
from ffd.model.subscription import (
    WEBSOCKETS,
    Subscription,
    SubscriptionRequest,
    filter_json,
    options_json,
    parse_filter,
    parse_options,
)
from ffd.ports.transport import Consumer
from ffd.store import Store, Transaction, events, offsets, subscriptions
from ffd.store.bells import wait_rung
from ffd.store.leadership import Deposed, Leadership, forget, lead
from ffd.store.subscriptions import SubscriptionRow
from ffd.world import World

log = logging.getLogger(__name__)

POLL_S = 1.0
NO_ROOM_S = 5.0
STARTS_MAX = 4_096

Placed = Callable[[Dispatcher | None], None]
"""Told of the dispatcher that serves a connection now, and of None when none does."""


@dataclass(frozen=True, slots=True)
class Served:
    """A subscription that is being delivered by this process."""

    subscription: Subscription
    epoch: int
    statistics: DispatcherStatistics


class Subscriptions:
    """Creates, finds and serves the subscriptions of a node; `namespaces` by their local names."""

    def __init__(
        self,
        world: World,
        store: Store,
        namespaces: Mapping[str, Namespace],
        *,
        process: str,
        recent_bytes_max: int,
        subscriptions_max: int,
        starts_max: int = STARTS_MAX,
        page_events: int = PAGE_EVENTS,
        read_ahead_max: int = READ_AHEAD_MAX,
    ) -> None:
        self._world = world
        self._store = store
        self._namespaces = namespaces
        self._process = process
        self._limit = subscriptions_max
        self._read_ahead_max = read_ahead_max
        self.recent = RecentEvents(store, bytes_max=recent_bytes_max, with_data=False, page_events=page_events)
        self._full = RecentEvents(store, bytes_max=recent_bytes_max, with_data=True, page_events=page_events)
        self._served: dict[Dispatcher, int] = {}
        self._turns = itertools.count()
        self.places = Places(starts_max)

    async def create(self, namespace: Namespace, request: SubscriptionRequest) -> Subscription:
        """Store a durable subscription, its first event resolved to a number. Raises Conflict FF10193, Full."""
        compile_filter(request.filter)
        row = self._row(namespace, request)

        def unit(tx: Transaction) -> SubscriptionRow:
            first = first_event(tx, namespace, request.options.first_event)
            return subscriptions.create(tx, _with_first(row, request, first), limit=self._limit)

        return self.read(await self._store.write(unit))

    async def replace(self, namespace: Namespace, request: SubscriptionRequest) -> tuple[Subscription, bool]:
        """Change the subscription of that name, keeping id, creation and position, or create it; whether it is new."""
        compile_filter(request.filter)
        new = self._row(namespace, request)

        def unit(tx: Transaction) -> tuple[SubscriptionRow, bool]:
            old = subscriptions.find_by_name(tx, namespace.number, request.name)
            if old is None:
                first = first_event(tx, namespace, request.options.first_event)
                return subscriptions.create(tx, _with_first(new, request, first), limit=self._limit), True
            first = int(parse_options(old.options, transport=old.transport).first_event or -1)
            changed = _with_first(new, request, first)._replace(
                sequence=old.sequence, id=old.id, created=old.created, updated=self._world.now()
            )
            if (changed.transport, changed.filter, changed.options) == (old.transport, old.filter, old.options):
                return old, False
            subscriptions.change(tx, changed)
            return changed, False

        row, created = await self._store.write(unit)
        return self.read(row), created

    async def delete(self, namespace: Namespace, id: bytes) -> None:
        """Remove a subscription and its offset. Raises NotFound."""

        def unit(tx: Transaction) -> bool:
            # Its dispatcher may be about to record an offset, here or in another process: it must not come too late.
            forget(tx, dispatcher_role(id))
            return subscriptions.delete(tx, namespace.number, id)

        if not await self._store.write(unit):
            raise NotFound("FF10109", f"Not found: no subscription {format_uuid(id)} in namespace '{namespace.name}'")

    def read(self, row: SubscriptionRow) -> Subscription:
        """The subscription in a row."""
        return Subscription(
            id=format_uuid(row.id),
            namespace=self._name_of(row.namespace),
            name=row.name,
            transport=row.transport,
            filter=parse_filter(row.filter),
            options=parse_options(row.options, transport=row.transport),
            created=row.created,
            updated=row.updated,
        )

    def served(self) -> list[Served]:
        """What this process delivers now."""
        return [Served(each.subscription, epoch, each.statistics()) for each, epoch in self._served.items()]

    async def serve_durable(self, namespace: Namespace, name: str, consumer: Consumer, placed: Placed) -> None:
        """Deliver the subscription `name` to `consumer` whenever it exists and no other connection has it.

        One that is for webhooks is none for a connection. Runs until cancelled.
        """
        bell = self._store.bell("subscriptions")
        async with self.places.in_turn((namespace.number, name)):
            while True:
                ticket = bell.ticket()
                row = self._store.peek(lambda tx: subscriptions.find_by_name(tx, namespace.number, name))
                if row is None or row.transport != WEBSOCKETS:
                    await wait_rung(ticket, at_most_s=POLL_S)
                elif not await self._serve_until_changed(row, consumer, placed, ticket):
                    await trio.sleep(NO_ROOM_S)

    async def serve_ephemeral(self, subscription: Subscription, consumer: Consumer, placed: Placed) -> None:
        """Deliver a subscription that nobody remembers. Runs until cancelled; Raises Invalid for its filter."""
        namespace = self._namespaces.get(subscription.namespace, EVERYWHERE)
        start = await self._store.read(lambda tx: first_event(tx, namespace, subscription.options.first_event))
        await self._dispatch(subscription, consumer, placed, max(start, 0), None)

    async def _serve_until_changed(
        self, row: SubscriptionRow, consumer: Consumer, placed: Placed, ticket: trio.Event
    ) -> bool:
        """Deliver while the subscription is what it is; False when the disk had no room to begin that."""
        subscription, had_room = self.read(row), True
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._cancel_when_changed, row, ticket, nursery.cancel_scope)
                async with lead(self._world, self._store, dispatcher_role(row.id), process=self._process) as leadership:
                    start = self._store.peek(lambda tx: _start(tx, row))
                    try:
                        await self._dispatch(subscription, consumer, placed, start, leadership)
                    except* Deposed:
                        # Another process leads by now; stand by for it.
                        nursery.cancel_scope.cancel()
        except* Full as full:
            log.warning("subscription %s cannot be delivered now: %s", subscription.name, first_of(full))
            had_room = False
        return had_room

    async def _cancel_when_changed(self, row: SubscriptionRow, ticket: trio.Event, scope: trio.CancelScope) -> None:
        bell = self._store.bell("subscriptions")
        while True:
            await wait_rung(ticket, at_most_s=POLL_S)
            ticket = bell.ticket()
            if self._store.peek(lambda tx: subscriptions.find(tx, row.namespace, row.id)) != row:
                scope.cancel()

    async def _dispatch(
        self,
        subscription: Subscription,
        consumer: Consumer,
        placed: Placed,
        start: int,
        leadership: Leadership | None,
    ) -> None:
        everywhere = subscription.namespace == EVERY_NAMESPACE
        dispatcher = Dispatcher(
            self._world, self._store, self._full if subscription.options.with_data else self.recent, subscription,
            consumer, offset=start, leadership=leadership,
            namespace=None if everywhere else subscription.namespace, turns=self._turns,
            read_ahead_max=self._read_ahead_max,
        )  # fmt: skip
        self._served[dispatcher] = 0 if leadership is None else leadership.epoch
        placed(dispatcher)
        try:
            await dispatcher.run()
        finally:
            placed(None)
            del self._served[dispatcher]

    def _row(self, namespace: Namespace, request: SubscriptionRequest) -> SubscriptionRow:
        return SubscriptionRow(
            0, self._world.new_id(), namespace.number, request.name, request.transport, filter_json(request.filter),
            "", self._world.now(), None,
        )  # fmt: skip

    def _name_of(self, number: int) -> str:
        for namespace in (*self._namespaces.values(), EVERYWHERE):
            if namespace.number == number:
                return namespace.name
        raise Conflict("FFD5002", f"namespace {number} of a subscription is not configured any more: put it back")


def dispatcher_role(id: bytes) -> str:
    """The role of delivering one subscription."""
    return f"dispatcher:{format_uuid(id)}"


def first_event(tx: Transaction, namespace: Namespace, text: str) -> int:
    """The sequence after which a subscription begins: `oldest` is -1, `newest` (the default) the newest there is."""
    if text == "oldest":
        return -1
    if text in ("", "newest"):
        return events.last_sequence(tx, namespace.number) or -1
    return int(text)


def _start(tx: Transaction, row: SubscriptionRow) -> int:
    """Where delivery of a durable subscription goes on: its offset, or where it was made to begin."""
    current = offsets.read(tx, offsets.SUBSCRIPTION, row.id.hex())
    if current is not None:
        return current
    return max(0, int(parse_options(row.options, transport=row.transport).first_event or 0))


def _with_first(row: SubscriptionRow, request: SubscriptionRequest, first: int) -> SubscriptionRow:
    """The row with the first event resolved to a number, as FireFly stores it."""
    return row._replace(options=options_json(structs.replace(request.options, first_event=str(first))))
