"""How single parts of the node are: the sequencer, the membership of the network, the open WebSockets."""

from __future__ import annotations

from typing import Any

import msgspec

from ffd.api.call import Answer, Call, object_of
from ffd.api.sessions import SessionFacts, StartedFacts
from ffd.model.canonical import json_string
from ffd.model.identity import TAG_CLAIM, identity_topic
from ffd.model.ids import format_uuid
from ffd.model.namespace import node_did, org_did
from ffd.model.query import Condition, Group, Query
from ffd.model.subscription import filter_json
from ffd.model.times import format_time
from ffd.outbound.flushes import PINNED_BROADCAST, FlushStatistics
from ffd.store import Transaction, identities, search
from ffd.store.collections import MESSAGES


async def get_batchmanager(call: Call) -> Answer:
    """How the batches of a namespace have left so far, through this process: broadcasts, and others if there were any.

    FireFly has a processor for each author and group; ffd has one for each kind of batch.
    """
    namespace = call.namespace
    processors = [
        {"dispatcher": dispatcher, "name": f"{namespace.author}|", "status": _flushes(account)}
        for dispatcher, account in call.desk.status.flushes(namespace.name).items()
        if dispatcher == PINNED_BROADCAST or account.started is not None
    ]
    return object_of(msgspec.json.encode({"processors": processors}).decode())


def _flushes(account: FlushStatistics) -> dict[str, Any]:
    """FireFly's status of a processor: averages over all batches that left."""
    batches = max(1, account.batches)
    status = {
        "lastFlushStartTime": None if account.started is None else format_time(account.started),
        "flushing": "" if account.flushing is None else format_uuid(account.flushing),
        "cancelled": False,
        "blocked": account.blocked,
        "lastFlushError": account.error,
        "lastFlushErrorTime": "" if account.error_time is None else format_time(account.error_time),
        "averageBatchBytes": account.payload_bytes // batches,
        "averageBatchMessages": round(account.messages / batches, 2),
        "averageBatchData": round(account.items / batches, 2),
        "averageFlushTimeMS": int(account.taken_s * 1000 / batches),
        "totalBatches": account.batches,
        "totalErrors": account.errors,
    }
    return {name: value for name, value in status.items() if value != ""}


async def get_multiparty(call: Call) -> Answer:
    """Whether the network knows the node's organisation and the node itself: what was claimed, and confirmed.

    Until then they are this node's own word, which is enough for it to work by itself.
    """
    namespace = call.namespace

    dids = [org_did(namespace.org_name), node_did(namespace.node_name)]
    org, node = await call.desk.store.read(lambda tx: [_registration(tx, namespace.number, did) for did in dids])
    return object_of(f'{{"enabled":true,"org":{org},"node":{node}}}')


def _registration(tx: Transaction, namespace: int, did: str) -> str:
    """FireFly's status of a registration, with the claim that is under way."""
    found = identities.find_identity(tx, namespace, did)
    if found is not None and found.claim is not None:
        return '{"status":"registered"}'
    under_way = Group(
        "and",
        (
            Condition("eq", "confirmed", None),
            Condition("eq", "tag", TAG_CLAIM),
            Condition("eq", "topics", identity_topic(did)),
        ),
    )
    claim = next(search.search(tx, MESSAGES, namespace, Query(under_way, limit=1)).rows, None)
    if claim is None:
        return '{"status":"unregistered"}'
    return f'{{"status":"registering","pendingRegistrationMessageId":"{format_uuid(claim.id)}"}}'


async def get_websockets(call: Call) -> Answer:
    """The WebSockets that are open, and the subscriptions that each has started."""
    shown = ",".join([_session(session) for session in call.desk.sessions.facts()])
    return object_of(f'{{"enabled":true,"connections":[{shown}]}}')


def _session(session: SessionFacts) -> str:
    started = ",".join([_started(each) for each in session.started])
    return (
        f'{{"id":"{session.id}","remoteAddress":{json_string(session.address)}'
        f',"userAgent":{json_string(session.agent)},"subscriptions":[{started}]}}'
    )


def _started(each: StartedFacts) -> str:
    name = f',"name":{json_string(each.name)}' if each.name else ""
    return (
        f'{{"startTime":"{format_time(each.since)}","ephemeral":{"true" if each.ephemeral else "false"}'
        f',"namespace":{json_string(each.namespace)}{name},"filter":{filter_json(each.filter)}}}'
    )
