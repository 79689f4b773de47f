"""Verifiers: what proves who somebody is."""

from __future__ import annotations

import msgspec

from ffd.api.call import Answer, Call, listing, not_found, object_of
from ffd.model.canonical import decode_envelope, json_string
from ffd.model.errors import Invalid
from ffd.model.identity import DX_VERIFIER
from ffd.model.ids import format_uuid, parse_hash
from ffd.model.namespace import LEDGER_VERIFIER
from ffd.model.times import format_time
from ffd.store import search
from ffd.store.collections import VERIFIERS
from ffd.store.identities import VerifierRow


class _WireVerifier(msgspec.Struct):
    type: str | None = None
    value: str | None = None


async def list_verifiers(call: Call) -> Answer:
    """Find verifiers."""
    return await listing(call, VERIFIERS, lambda _tx, row: verifier_json(row, call.namespace.name))


async def get_verifier(call: Call) -> Answer:
    """One verifier, by its hash."""
    hash = parse_hash(call.path["hash"])
    found = call.desk.store.peek(lambda tx: search.find(tx, VERIFIERS, call.namespace.number, hash, by="hash"))
    if found is None:
        raise not_found(call, "verifier", hash.hex())
    return object_of(verifier_json(found, call.namespace.name))


async def resolve_verifier(call: Call) -> Answer:
    """A verifier in the one spelling that messages use."""
    wire, _ = decode_envelope(await call.body(), _WIRE)
    type, value = wire.type or LEDGER_VERIFIER, wire.value or ""
    if type == LEDGER_VERIFIER:
        value = call.desk.acceptors[call.namespace.name].normal_key(value)
    elif type != DX_VERIFIER:
        raise Invalid("FF10428", f"Unknown verifier type {type[:80]!r}: use {LEDGER_VERIFIER} or {DX_VERIFIER}")
    return object_of(f'{{"type":"{type}","value":{json_string(value)}}}')


def verifier_json(row: VerifierRow, namespace: str) -> str:
    """A verifier as FireFly shows it."""
    return (
        f'{{"hash":"{row.hash.hex()}","identity":"{format_uuid(row.identity)}","namespace":{json_string(namespace)}'
        f',"type":"{row.type}","value":{json_string(row.value)},"created":"{format_time(row.created)}"}}'
    )


def ref_json(row: VerifierRow) -> str:
    """A verifier as it stands beside its identity."""
    return f'{{"type":"{row.type}","value":{json_string(row.value)}}}'


_WIRE = msgspec.json.Decoder(_WireVerifier)
