"""What an entry of the embedded ledger says, who signed it, and how entries hang together.

The body is the text that is signed (Ed25519, RFC 8032); the entry's hash covers the hash before it, its height, its
time, the signer, the signature and the body, so that nothing can be altered, dropped or moved without breaking the
chain from there on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ffd.model.errors import Broken, Invalid
from ffd.model.ids import parse_hash, sha256
from ffd.ports.ledger import BatchPin, LedgerEvent
from ffd.ports.wallet import Wallet

BODY_VERSION = 1
GENESIS = bytes(32)
REMEDY = (
    "; nothing from there on is believed: stop the nodes of this ledger, put back a copy of its file that has the "
    "entry as it was, and start them"
)
"""What to do about a ledger that was tampered with: no node can make good what another one has signed."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    network: str
    action: str
    uuids: str
    batchHash: str
    payloadRef: str
    contexts: list[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One link of the chain. `signer` is the 32-byte public key, `timestamp` nanoseconds."""

    height: int
    previous: bytes
    timestamp: int
    signer: bytes
    signature: bytes
    body: str
    hash: bytes


def body_text(pin: BatchPin) -> str:
    """The text that is signed."""
    body = _Body(
        BODY_VERSION, pin.network, pin.action, (pin.tx + pin.batch).hex(), pin.batch_hash.hex(), pin.payload_ref,
        [context.hex() for context in pin.contexts],
    )  # fmt: skip
    return msgspec.json.encode(body).decode()


def pin_of(text: str) -> BatchPin | None:
    """The pin that a body holds; None when it holds none, which is its signer's fault and nobody else's problem."""
    try:
        body = _BODY.decode(text)
        uuids = parse_hash(body.uuids)
        contexts = [parse_hash(context) for context in body.contexts]
        return BatchPin(
            body.network, body.action, uuids[:16], uuids[16:], parse_hash(body.batchHash), body.payloadRef, contexts
        )
    except (msgspec.DecodeError, Invalid):
        return None


def entry_hash(previous: bytes, height: int, timestamp: int, signer: bytes, signature: bytes, body: str) -> bytes:
    """The hash that the next entry names."""
    lead = previous + height.to_bytes(8, "big") + timestamp.to_bytes(8, "big")
    return sha256(lead + signer + signature + body.encode())


def sign(key: Ed25519PrivateKey, body: str) -> tuple[bytes, bytes]:
    """The public key and the signature of a body."""
    return key.public_key().public_bytes_raw(), key.sign(body.encode())


def sign_with(wallet: Wallet, key: str, body: str) -> tuple[bytes, bytes]:
    """`sign` with the key of that public half. Raises Invalid when it is not here."""
    found = wallet.find(key)
    if found is None:
        raise Invalid("FFD4013", f"this node has no key {key}: see GET keys, or put its PEM into the folder keys")
    return sign(found, body)


def check_link(entry: Entry, before: Entry | None) -> None:
    """Refuse an entry that is not in the chain behind `before`, which is None for the first one.

    Raises Broken: which one, and what is wrong with it.
    """
    height, previous = (0, GENESIS) if before is None else (before.height + 1, before.hash)
    if entry.height != height:
        after = f"behind entry {height - 1}" if height else "at the beginning"
        raise Broken("FFD4011", f"ledger entry {height} is missing: entry {entry.height} stands {after}{REMEDY}")
    if entry.previous != previous:
        follows = f"follow entry {height - 1}: one of the two was" if height else "begin a ledger: it was"
        raise Broken("FFD4011", f"ledger entry {height} does not {follows} altered or replaced{REMEDY}")
    if entry.timestamp < 0 or entry.hash != _hash_of(entry):
        # What is signed tells more: it is still whole when only what stands beside it was changed.
        what = "its time or its hash" if _is_signed(entry) else "its text or its signature"
        raise Broken("FFD4011", f"ledger entry {height} was altered: {what} is not what was recorded{REMEDY}")


def check_entry(entry: Entry, before: Entry | None) -> None:
    """Refuse an entry that does not follow `before`, or is not what its signer signed. Raises Broken, naming it."""
    check_link(entry, before)
    if not _is_signed(entry):
        raise Broken(
            "FFD4012",
            f"ledger entry {entry.height} is not signed by {entry.signer.hex()}, in whose name it stands{REMEDY}",
        )


def whole_part(entries: Sequence[Entry], before: Entry | None) -> list[Entry]:
    """The entries that follow `before` unaltered. Raises Broken when already the first one does not.

    So what is whole goes out first; the next call begins with the bad one, and says so.
    """
    whole: list[Entry] = []
    for entry in entries:
        try:
            check_entry(entry, whole[-1] if whole else before)
        except Broken:
            if not whole:
                raise
            break
        whole.append(entry)
    return whole


def _is_signed(entry: Entry) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(entry.signer).verify(entry.signature, entry.body.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _hash_of(entry: Entry) -> bytes:
    return entry_hash(entry.previous, entry.height, entry.timestamp, entry.signer, entry.signature, entry.body)


def position_of(entry: Entry) -> str:
    """Where a reader of the entry stands: its height, by which positions sort, and the beginning of its hash."""
    return f"{entry.height:012d}/{entry.hash[:8].hex()}"


def read_position(position: str) -> tuple[int, str]:
    """The height in a position, -1 before the first, and the beginning of the hash, if it has one."""
    height, _, mark = position.partition("/")
    return (int(height) if height else -1), mark


def event_of(entry: Entry) -> LedgerEvent:
    """An entry as the port gives it out."""
    return LedgerEvent(position_of(entry), entry.hash.hex(), entry.signer.hex(), entry.timestamp, pin_of(entry.body))


def check_read_before(entries: Sequence[Entry], position: str, ledger: str) -> None:
    """Refuse a ledger whose first of these entries is not the one that was read at `position`. Raises Broken."""
    height, mark = read_position(position)
    if height >= 0 and not entries:
        raise Broken(
            "FFD4020",
            f"ledger {ledger} ends before entry {height}, which this node has read: it is an older copy; "
            f"put the right file back",
        )
    if height >= 0 and not entries[0].hash.hex().startswith(mark):
        raise Broken(
            "FFD4021",
            f"ledger {ledger} has another entry {height} than the one that this node has read: it is an older copy "
            f"that others went on with, or was altered; put the right file back",
        )


def normal_key(key: str) -> str:
    """An Ed25519 public key as 64 lower-case hex digits. Raises Invalid."""
    return parse_hash(key).hex()


_BODY = msgspec.json.Decoder(_Body)
