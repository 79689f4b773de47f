"""How the node is: FireFly's status with ffd's own beside it, and the two questions of a supervisor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ffd import __version__
from ffd.api.call import Answer, Call, object_of
from ffd.api.caller import NOBODY, Caller
from ffd.api.desk import Desk, PluginFacts
from ffd.api.namespaces import namespace_json
from ffd.api.subscriptions import offset_of
from ffd.model.ids import format_uuid
from ffd.model.namespace import EVERYWHERE, LEDGER_VERIFIER, Namespace
from ffd.model.times import format_time
from ffd.store import Transaction, backlog, events, subscriptions
from ffd.store.backlog import Backlog, Blocked, Sequences

BLOCKED_MAX = 100
"""Contexts that wait which a status names; the oldest ones, since the others wait behind their kind."""

Facts = dict[str, Any]


async def get_status(call: Call) -> Answer:
    """How the node does in a namespace."""
    desk, namespace = call.desk, call.namespace
    ledger = await desk.status.ledger(namespace.name)
    storage = await desk.status.storage(namespace.name)
    # Asked here: what is read is read in a thread, under which the loop goes on.
    served = {each.subscription.id: each.statistics.in_flight for each in desk.subscriptions.served()}
    stored = await desk.store.read(lambda tx: _stored(tx, desk, namespace, call.caller, served))
    exchange = await desk.status.exchange(namespace.name)
    plugins = {"ledger": _plugin(ledger), "storage": _plugin(storage), "exchange": _plugin(exchange)}
    facts = _firefly(namespace, ledger, storage, exchange) | {
        "ffd": _process(desk) | stored | plugins | {"limits": _limits(desk, namespace)}
    }
    # The first field is written by the module that shows namespaces everywhere.
    return object_of(f'{{"namespace":{namespace_json(desk, namespace)},{_json(facts)[1:]}')


async def get_live(call: Call) -> Answer:
    """Does the event loop turn? Whoever reads the answer knows."""
    return object_of('{"live":true}')


async def get_ready(call: Call) -> Answer:
    """Is the node ready to work? 503 with the reasons when it is not; a stranger is told none."""
    reasons = list(call.desk.status.unready())
    if reasons and call.caller is NOBODY:
        return Answer(503, _json({"ready": False}))
    return Answer(503, _json({"ready": False, "reasons": reasons})) if reasons else object_of('{"ready":true}')


def _firefly(namespace: Namespace, ledger: PluginFacts, storage: PluginFacts, exchange: PluginFacts) -> Facts:
    """FireFly's part, but for the namespace itself."""
    org = {
        "name": namespace.org_name, "registered": True, "did": namespace.author, "id": format_uuid(namespace.org_id),
        "verifiers": [{"type": LEDGER_VERIFIER, "value": namespace.key}],
    }  # fmt: skip
    plugins = {
        "blockchain": [{"name": ledger.name, "pluginType": ledger.plugin}],
        "database": [{"name": "local", "pluginType": "sqlite"}],
        "dataExchange": [{"name": exchange.name, "pluginType": exchange.plugin}],
        "events": [{"pluginType": "websockets"}],
        "identity": [],
        "sharedStorage": [{"name": storage.name, "pluginType": storage.plugin}],
        "tokens": [],
    }
    return {
        "node": {"name": namespace.node_name, "registered": True, "id": format_uuid(namespace.node_id)},
        "org": org,
        "plugins": plugins,
        "multiparty": {"enabled": True},
    }


def _process(desk: Desk) -> Facts:
    process = desk.status.process()
    return {
        "version": __version__,
        "pid": process.pid,
        "started": format_time(process.started),
        "uptimeSeconds": round(process.uptime_s, 3),
        "socket": process.socket,
        "http": list(process.http),
        "memory": dict(process.memory),
        "roles": [
            {"name": role.name, "state": role.state, "epoch": role.epoch, "since": format_time(role.since)}
            | ({"error": role.error} if role.error else {})
            for role in desk.status.roles()
        ],
    }


def _stored(tx: Transaction, desk: Desk, namespace: Namespace, caller: Caller, served: Mapping[str, int]) -> Facts:
    """What the rows say, all of one moment; `served` are the subscriptions in delivery, with what is in flight."""
    sequences = backlog.sequences(tx)
    return {
        "sequences": _named(sequences),
        "backlog": _named(backlog.backlog(tx, namespace.number)),
        "blocked": [_blocked(each) for each in backlog.blocked(tx, namespace.number, limit=BLOCKED_MAX)],
        "subscriptions": _subscriptions(tx, desk, caller, served),
    }


def _named(values: Sequences | Backlog) -> Facts:
    return values._asdict()


def _blocked(each: Blocked) -> Facts:
    topic = {"topic": each.topic} if each.topic else {}
    group = {"group": each.group} if each.group else {}
    message = {"message": format_uuid(each.message)} if each.message else {}
    error = {"error": each.error} if each.error else {}
    return {
        **topic,
        **group,
        "context": each.context.hex(),
        **message,
        "batch": format_uuid(each.batch),
        "cause": each.cause,
        "subject": each.subject,
        "since": format_time(each.since),
        "pins": each.pins,
        **error,
    }


def _subscriptions(tx: Transaction, desk: Desk, caller: Caller, served: Mapping[str, int]) -> Sequence[Facts]:
    """Every durable subscription that the caller may use; `active` says that this process delivers it."""
    newest: dict[int, int] = {}
    found: list[Facts] = []
    configured = {each.number for each in (*desk.namespaces.values(), EVERYWHERE) if caller.may_use(each.name)}
    for row in subscriptions.every(tx):
        if row.namespace not in configured:
            continue
        if row.namespace not in newest:
            newest[row.namespace] = events.last_sequence(tx, row.namespace)
        subscription = desk.subscriptions.read(row)
        offset = offset_of(tx, subscription)
        found.append(
            {
                "id": subscription.id,
                "namespace": subscription.namespace,
                "name": subscription.name,
                "active": subscription.id in served,
                "offset": offset,
                "lag": max(0, newest[row.namespace] - max(offset, 0)),
                "inFlight": served.get(subscription.id, 0),
            }
        )
    return found


def _limits(desk: Desk, namespace: Namespace) -> Facts:
    limits = desk.acceptors[namespace.name].limits
    return {"messageBytes": limits.message_bytes_max, "requestBytes": desk.limits.request_bytes_max}


def _plugin(facts: PluginFacts) -> Facts:
    error = {"error": facts.error} if facts.error else {}
    return {"name": facts.name, "plugin": facts.plugin, **facts.detail, **error}


def plugin_json(facts: PluginFacts) -> str:
    """What a plugin says of itself, as JSON."""
    return _json(_plugin(facts))


def _json(facts: Facts) -> str:
    return msgspec.json.encode(facts).decode()
