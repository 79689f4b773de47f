"""Identities as DID documents (https://www.w3.org/TR/did-core/), which other programs than FireFly's can read."""

from __future__ import annotations

from ffd.api.call import Answer, Call, object_of
from ffd.api.identities import by_did, by_id_or_did, is_half, one
from ffd.model.canonical import json_string
from ffd.model.namespace import LEDGER_VERIFIER
from ffd.store import Transaction, identities
from ffd.store.identities import IdentityRow, VerifierRow

CONTEXT = '["https://www.w3.org/ns/did/v1","https://w3id.org/security/suites/ed25519-2020/v1"]'
ED25519 = b"\xed\x01"
"""What stands before an Ed25519 key to say that it is one (https://github.com/multiformats/multicodec)."""
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


async def get_identity_did(call: Call) -> Answer:
    """The DID document of an identity, by its id."""
    if is_half(call.path["id"]):
        return await one(call, by_did(call, f"{call.path['id']}/did"))
    return await _document(call, by_id_or_did(call, call.path["id"]))


async def get_did_document(call: Call) -> Answer:
    """The DID document of an identity, by its DID."""
    return await _document(call, by_did(call, call.path["did"]))


async def _document(call: Call, row: IdentityRow) -> Answer:
    def unit(tx: Transaction) -> list[VerifierRow]:
        return identities.verifiers_of(tx, call.namespace.number, row.id)

    verifiers = await call.desk.store.read(unit)
    authentication = ",".join(f'"#{each.hash.hex()}"' for each in verifiers)
    methods = ",".join(_method(row, each) for each in verifiers)
    return object_of(
        f'{{"@context":{CONTEXT},"id":{json_string(row.did)},"authentication":[{authentication}]'
        f',"verificationMethod":[{methods}]}}'
    )


def _method(row: IdentityRow, verifier: VerifierRow) -> str:
    if verifier.type == LEDGER_VERIFIER:
        type, proof = "Ed25519VerificationKey2020", f'"publicKeyMultibase":"{_multibase(verifier.value)}"'
    else:
        type, proof = "FireFlyDataExchangePeerIdentity", f'"dataExchangePeerID":{json_string(verifier.value)}'
    return f'{{"id":"{verifier.hash.hex()}","type":"{type}","controller":{json_string(row.did)},{proof}}}'


def _multibase(key: str) -> str:
    """A public key in base 58, as the suite of Ed25519 writes it."""
    number, digits = int.from_bytes(ED25519 + bytes.fromhex(key), "big"), ""
    while number:
        number, digit = divmod(number, len(BASE58))
        digits = BASE58[digit] + digits
    return f"z{digits}"
