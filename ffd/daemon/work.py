"""The roles of a node: which there are, and what each is given. Each runs inside its lock; see `ffd.daemon.roles`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import trio

from ffd.daemon.parts import Member, Parts
from ffd.inbound.aggregator import Aggregator
from ffd.inbound.arrivals import PAYLOAD_SLACK_BYTES, Arrivals
from ffd.inbound.blobs import BlobDownloads
from ffd.inbound.download import Downloads, Fetcher
from ffd.inbound.exchange import ExchangeReceiver
from ffd.inbound.intake import Intake
from ffd.outbound.assembler import BatchLimits
from ffd.outbound.broadcast import BroadcastCourier, republish
from ffd.outbound.flushes import PINNED_BROADCAST, PINNED_PRIVATE, UNPINNED_PRIVATE
from ffd.outbound.lanes import Lanes
from ffd.outbound.private import PrivateCourier
from ffd.outbound.private_sealing import PrivateSealer
from ffd.outbound.publish import Publisher
from ffd.outbound.retries import Retries
from ffd.outbound.sealing import Sealer
from ffd.outbound.sending import Sending
from ffd.outbound.sequencer import Sequencer
from ffd.ports.ledger import Ledger
from ffd.store import messages
from ffd.store.index.follow import follow
from ffd.store.leadership import Leadership
from ffd.store.search import INDEX

SEQUENCER, INTAKE, EXCHANGE, AGGREGATOR, INDEXER = "sequencer", "intake", "exchange", "aggregator", "indexer"
Work = Callable[[Leadership], Awaitable[object]]


def roles_of(parts: Parts) -> dict[str, Work]:
    """The work of each role, by the role's name, as far as the configuration gives it to this process."""
    wanted = parts.config.roles or (SEQUENCER, INTAKE, EXCHANGE, AGGREGATOR, INDEXER)
    roles: dict[str, Work] = {}
    for name, member in parts.members.items():
        if SEQUENCER in wanted:
            roles[f"{SEQUENCER}:{name}:broadcast"] = partial(_sequence, parts, member)
            roles[f"{SEQUENCER}:{name}:private"] = partial(_sequence_private, parts, member)
        if AGGREGATOR in wanted:
            roles[f"{AGGREGATOR}:{name}"] = partial(_aggregate, parts, member)
    if INTAKE in wanted:
        for ledger, members in _by_ledger(parts).items():
            roles[f"{INTAKE}:{ledger}"] = partial(_take_in, parts, members[0].ledger, members)
    if EXCHANGE in wanted:
        for exchange, members in _by_exchange(parts).items():
            roles[f"{EXCHANGE}:{exchange}"] = partial(_receive, parts, members)
    if INDEXER in wanted:
        roles[INDEXER] = partial(follow, parts.world, parts.store, INDEX)
    return roles


def _by_ledger(parts: Parts) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for member in parts.members.values():
        found.setdefault(member.ledger.name, []).append(member)
    return found


def _by_exchange(parts: Parts) -> dict[str, list[Member]]:
    found: dict[str, list[Member]] = {}
    for member in parts.members.values():
        found.setdefault(member.exchange.name, []).append(member)
    return found


async def _sequence(parts: Parts, member: Member, leadership: Leadership) -> None:
    sealer, publisher = sealer_of(parts, member), publisher_of(parts, member)
    sending = _sending(parts, member, leadership, PINNED_BROADCAST)
    courier = BroadcastCourier(sending, sealer, member.storage, publisher)
    retries = Retries(sending, sealer, member.storage, publisher)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(retries.run)
        await Sequencer(parts.store, leadership, courier).run()


async def _sequence_private(parts: Parts, member: Member, leadership: Leadership) -> None:
    """What goes past the ledger does not wait for it: it has a sequencer of its own, and the same lanes."""
    names = member.exchange.name, member.ledger.name
    sealer = PrivateSealer(parts.world, member.namespace, batch_limits(parts), *names)
    async with trio.open_nursery() as nursery:
        sendings = [_sending(parts, member, leadership, kind) for kind in (PINNED_PRIVATE, UNPINNED_PRIVATE)]
        lanes = Lanes(nursery, sendings[0], sealer, member.exchange, parts.blobs)
        nursery.start_soon(lanes.run)
        for sending, kind in zip(sendings, (messages.MASKED, messages.UNMASKED), strict=True):
            courier = PrivateCourier(sending, replace(sealer, kind=kind), lanes)
            nursery.start_soon(Sequencer(parts.store, leadership, courier).run)


def _sending(parts: Parts, member: Member, leadership: Leadership, kind: str) -> Sending:
    flushes = member.flushes[kind]
    return Sending(parts.world, parts.store, member.namespace, member.ledger, leadership, flushes)


async def _aggregate(parts: Parts, member: Member, leadership: Leadership) -> None:
    pages = parts.config.aggregator.page_pins
    await Aggregator(parts.world, parts.store, member.namespace, leadership, pages).run()


async def _take_in(parts: Parts, ledger: Ledger, members: list[Member], leadership: Leadership) -> None:
    """Read one ledger, and fetch what could not be fetched at once, for all namespaces on it."""
    fetchers: dict[str, list[Fetcher]] = {}
    async with trio.open_nursery() as nursery:
        for member in members:
            arrivals = Arrivals(parts.world, member.namespace, member.storage.name)
            fetcher = Fetcher(parts.store, arrivals, member.storage, parts.config.batch.bytes_max)
            fetchers.setdefault(member.namespace.network_name, []).append(fetcher)
            put_back = partial(republish, parts.store, sealer_of(parts, member), member.storage)
            nursery.start_soon(Downloads(parts.store, fetcher, leadership, put_back).run)
            nursery.start_soon(BlobDownloads(parts.store, arrivals, member.storage, parts.blobs, leadership).run)
        await Intake(parts.world, parts.store, ledger, fetchers, leadership).run()


async def _receive(parts: Parts, members: list[Member], leadership: Leadership) -> None:
    """Take in what comes through one data exchange, for all namespaces on it."""
    arrivals = [Arrivals(parts.world, member.namespace, member.storage.name) for member in members]
    # A private batch shows its pins beside what counts for the limit.
    most = 2 * parts.config.batch.bytes_max + PAYLOAD_SLACK_BYTES
    await members[0].exchange.serve(ExchangeReceiver(parts.store, parts.blobs, arrivals, message_bytes_max=most))


def sealer_of(parts: Parts, member: Member) -> Sealer:
    """How batches of a namespace are sealed."""
    return Sealer(parts.world, member.namespace, batch_limits(parts), member.storage.name, member.ledger.name)


def batch_limits(parts: Parts) -> BatchLimits:
    """When a batch is full."""
    return BatchLimits(parts.config.batch.messages_max, parts.config.batch.bytes_max)


def publisher_of(parts: Parts, member: Member) -> Publisher:
    """How data of a namespace is published."""
    return Publisher(parts.world, parts.store, parts.blobs, member.storage, member.namespace.number)
