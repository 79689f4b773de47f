"""Accept messages: check, seal, store. When `broadcast` returns, what it accepted is on disk.

This is the door of the pipeline, and the place of its admission control: beyond a limit a message is refused before it
does damage, and nothing of it is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import msgspec
import trio

from ffd.model.canonical import ValueText
from ffd.model.data import BlobRef, Data, DatatypeRef, check_validator, data_json, seal_data
from ffd.model.errors import Conflict, FfdError, Full, Invalid, NotFound
from ffd.model.ids import format_uuid, normal_hash, normal_uuid, parse_hash, parse_uuid, sha256
from ffd.model.message import (
    BATCH_PIN,
    BROADCAST,
    CONTRACT_INVOKE_PIN,
    DEFINITION,
    Header,
    Sealed,
    message_json,
    seal,
)
from ffd.model.names import check_name
from ffd.model.namespace import Namespace
from ffd.model.times import format_time
from ffd.outbound import signer
from ffd.outbound.datatypes import check_item, read_datatype
from ffd.outbound.definitions import Definition
from ffd.outbound.draft import Draft, WireItem, check_idempotency_key
from ffd.store import Store, Transaction, blobs, data, messages, offsets
from ffd.store.blobs import BlobRow
from ffd.store.engine import Writing
from ffd.store.messages import NewMessage
from ffd.world import World

GATHERING_MAX = 500
MIB = 1 << 20
ROOM_CHECK_S = 0.1  # in so little time nobody fills the reserve
MESSAGE_SIZE_BASE = 1024
"""Bytes that a message is taken to need beside its data (FireFly reference 4.4)."""
DATA_SIZE_BASE = 256
PUBLIC_REFERENCE = 256
"""What a blob's reference in shared storage may take, before there is one."""
_WHITE_SPACE = (b" ", b"\t", b"\r", b"\n")
MESSAGE_ENVELOPE = 100
"""What a batch writes around a message's header and references: its hash, and the names of all these."""


@dataclass(frozen=True, slots=True)
class AcceptLimits:
    """Beyond these a message is refused. Bytes are those of the size estimate."""

    message_bytes_max: int = 800 * 1024
    unsent_messages_max: int = 1_000_000
    disk_reserve_bytes: int = 64 * 1024 * 1024


class Accepted(msgspec.Struct, frozen=True):
    """A message that is on disk."""

    id_text: str
    message: NewMessage

    @property
    def id(self) -> bytes:
        return self.message.id

    @property
    def hash(self) -> bytes:
        return self.message.hash

    def json(self, namespace: str) -> str:
        """The message as the 202 shows it."""
        message = self.message
        return message_json(
            message.header, message.hash, message.data,
            local_namespace=namespace, state="ready", idempotency_key=message.idempotency_key or "",
        )  # fmt: skip


Refusals = dict[int, FfdError]
"""Who of a gathering was refused, by place, and why."""


class Gathering:
    """Messages that will be stored together: all that come before the writer takes the first of them.

    Frames of one message cost little more than one frame of many.
    """

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.known: dict[str, int] = {}
        self.frames = 0
        self.writing: Writing[Refusals] | None = None

    def count_frame(self) -> None:
        """One more waits for the writing."""
        self.frames += 1
        if self.writing is not None:
            self.writing.company = self.frames

    @property
    def is_open(self) -> bool:
        """May messages still join?"""
        return self.writing is not None and not self.writing.taken and len(self.accepted) < GATHERING_MAX


class Accepting:
    """Messages on their way to the disk: `places` of the results are those that joined a gathering, from `first` on."""

    def __init__(
        self, results: list[Accepted | FfdError], places: list[int], gathering: Gathering | None, first: int
    ) -> None:
        self._results = results
        self._places = places
        self._writing = None if gathering is None else gathering.writing
        self._first = first

    @property
    def settled(self) -> bool:
        """Is the outcome known?"""
        return self._writing is None or self._writing.done.is_set()

    async def wait(self) -> list[Accepted | FfdError]:
        """For each message, in order, the message on disk or why it was refused. Raises Full."""
        if self._writing is not None:
            refusals = await self._writing.wait_settled()
            for n, place in enumerate(self._places, self._first):
                if n in refusals:
                    self._results[place] = refusals[n]
        return self._results


class Acceptor:
    """The door of one namespace."""

    def __init__(
        self, world: World, store: Store, namespace: Namespace, keys: signer.Keys, limits: AcceptLimits
    ) -> None:
        self.namespace = namespace
        self.limits = limits
        self._world = world
        self._store = store
        self._keys = keys
        self._room_until = -inf
        self._gathering = Gathering()

    async def broadcast(self, drafts: Sequence[Draft]) -> list[Accepted | FfdError]:
        """Accept broadcasts in the order given; for each the message, on disk, or why it was refused.

        Raises Full when none can be taken now.
        """
        return await self.begin(drafts).wait()

    def check_author(self, draft: Draft) -> None:
        """Refuse a message that nobody here may sign. Raises Invalid FF10206, FFD2502."""
        self._resolve(draft.header.author or "", draft.header.key or "")

    def check(self, draft: Draft) -> None:
        """Refuse what `broadcast` would refuse of a message in itself, and keep nothing of it."""
        self._prepare(draft, self._world.now(), {})

    def begin(self, drafts: Sequence[Draft]) -> Accepting:
        """Check and seal broadcasts, and queue them behind all that were begun before. Raises Full."""
        self._check_room()
        now = self._world.now()
        results: list[Accepted | FfdError] = []
        accepted: list[Accepted] = []
        places: list[int] = []
        known: dict[str, int] = {}
        for draft in drafts:
            try:
                each = self._prepare(draft, now, known)
            except FfdError as refused:
                results.append(refused)
            else:
                places.append(len(results))
                accepted.append(each)
                results.append(each)
        if not accepted:
            return Accepting(results, places, None, 0)
        return self._queue(accepted, known, results, places)

    def _queue(
        self, accepted: Sequence[Accepted], known: Mapping[str, int], results: list[Accepted | FfdError],
        places: list[int],
    ) -> Accepting:  # fmt: skip
        gathering = self._gathering if self._gathering.is_open else self._gather()
        first = len(gathering.accepted)
        gathering.accepted.extend(accepted)
        gathering.known.update(known)
        gathering.count_frame()
        return Accepting(results, places, gathering, first)

    def seal_definition(self, definition: Definition) -> Accepted:
        """A definition as its message will be, for `define`; nothing is stored yet. Raises Invalid FFD2502, FF10327."""
        self._check_key(definition.key)
        now, id = self._world.now(), self._world.new_id()
        item = seal_data(format_uuid(self._world.new_id()), now, definition.value, validator="definition")
        header = Header(
            format_uuid(id), "", DEFINITION, BATCH_PIN, definition.author, definition.key, format_time(now),
            self.namespace.network_name, "", (definition.topic,), definition.tag,
        )  # fmt: skip
        sealed = seal(header, [item.ref])
        size = self._check_size(sealed, [item])
        message = NewMessage(id, sealed.header_json, sealed.hash, sealed.refs_json, size, [item])
        return Accepted(sealed.header.id, message)

    async def define(self, *definitions: Accepted) -> None:
        """Store sealed definitions in this order, all or none, behind all that was begun before. Raises Full."""
        self._check_room()
        await self._queue(definitions, {}, list(definitions), list(range(len(definitions)))).wait()

    def _gather(self) -> Gathering:
        gathering = self._gathering = Gathering()
        gathering.writing = self._store.begin(lambda tx: self._store_all(tx, gathering.accepted, gathering.known))
        return gathering

    def _check_room(self) -> None:
        if trio.current_time() < self._room_until:
            return
        free = self._world.disk_free(self._store.path.parent)
        if free < self.limits.disk_reserve_bytes:
            raise Full(
                "FFD3002",
                f"{free // MIB} MiB are free on the disk of {self._store.path.parent}, and "
                f"{self.limits.disk_reserve_bytes // MIB} MiB are kept for what was accepted before: make room, then "
                f"send again",
            )
        self._room_until = trio.current_time() + ROOM_CHECK_S

    def _prepare(self, draft: Draft, now: int, known: dict[str, int]) -> Accepted:
        """Everything that can be done before the transaction; `known` learns the stored data that is referred to.

        It has the sequence of each item by its id, and 0 by the hash of each blob. Raises Invalid, NotFound.
        """
        wire, key_once = draft.header, draft.idempotency_key
        check_idempotency_key(key_once)
        if draft.large:
            self._check_raw_size(draft)
        author, key = self._resolve(wire.author or "", wire.key or "")
        items = [self._item(draft, item, now, known) for item in draft.items]
        id = self._world.new_id()
        id_text = format_uuid(id)
        header = Header(
            id_text, normal_uuid(wire.cid) if wire.cid else "", BROADCAST, _tx_type(wire.txtype), author, key,
            format_time(now), self.namespace.network_name, "", _topics(wire.topics), wire.tag or "",
        )  # fmt: skip
        sealed = seal(header, [item.ref for item in items])
        size = self._check_size(sealed, items)
        message = NewMessage(id, sealed.header_json, sealed.hash, sealed.refs_json, size, items, key_once)
        return Accepted(id_text, message)

    def _check_raw_size(self, draft: Draft) -> None:
        """Refuse what is too large whatever its white space, before the work that its values may make."""
        size = MESSAGE_SIZE_BASE
        for item in draft.items:
            value = bytes(item.value)
            size += DATA_SIZE_BASE + len(value) - sum(map(value.count, _WHITE_SPACE))
        self._check_fits(size)

    def _check_size(self, sealed: Sealed, items: Sequence[Data]) -> int:
        """The bytes that a message takes in a batch, estimated upwards. Raises Invalid FF10327 beyond the limit."""
        size = max(MESSAGE_SIZE_BASE, len(sealed.header_json) + len(sealed.refs_json) + MESSAGE_ENVELOPE)
        for item in items:
            usual = item.datatype is None and item.blob is None
            text = (item.value or "") if usual else data_json(item, form="broadcast")
            if item.blob is not None and not item.blob.public:
                size += PUBLIC_REFERENCE
            size += DATA_SIZE_BASE + (len(text) if text.isascii() else len(text.encode()))
        self._check_fits(size)
        return size

    def _check_fits(self, size: int) -> None:
        if size > self.limits.message_bytes_max:
            raise Invalid(
                "FF10327",
                f"Message size {size / 1024:.2f}kb is too large for the max broadcast batch size of "
                f"{self.limits.message_bytes_max / 1024:.2f}kb",
            )

    def _resolve(self, author: str, key: str) -> tuple[str, str]:
        did, resolved = signer.resolve(self._store, self.namespace, self._keys.normal_key, author, key)
        self._check_key(resolved)
        return did, resolved

    def normal_key(self, key: str) -> str:
        """The one spelling of a signing key. Raises Invalid when it is none."""
        return self._keys.normal_key(key)

    def _check_key(self, key: str) -> None:
        # Refused here, since nothing could ever pin it: an accepted message is never forgotten.
        if key != self.namespace.key and not self._keys.can_sign(key):
            raise Invalid(
                "FFD2502",
                f"this node cannot sign with key {key}: its organisation's is {self.namespace.key}, and GET keys "
                f"lists all that it has",
            )

    def _item(self, draft: Draft, item: WireItem, now: int, known: dict[str, int]) -> Data:
        """One data item: one that is stored already, or a new one."""
        if item.id:
            sequence, found = self._stored_item(item)
            known[found.id] = sequence
            return found
        made = self._new_item(item, draft.value_text(item.value), now)
        if made.blob is not None:
            known[made.blob.hash] = 0
        return made

    def _new_item(self, item: WireItem, text: str, now: int) -> Data:
        if item.blob is not None and item.blob.hash:
            return self._blob_item(item, parse_hash(item.blob.hash), text, now)
        if text == "null":
            raise Invalid("FF10205", "Data item has neither an id nor a value: give one of the two")
        made = Data(
            id=format_uuid(self._world.new_id()),
            hash=sha256(text.encode()),
            created=now,
            value=text,
            validator=check_validator(item.validator or ""),
            datatype=None if item.datatype is None else read_datatype(item.datatype),
        )
        if made.datatype is not None:
            check_item(self._store, self.namespace, made)
        return made

    def _blob_item(self, item: WireItem, hash: bytes, text: str, now: int) -> Data:
        """A new item for a blob that is here."""
        size = self._blob_here(hash).size
        wire = item.datatype
        datatype = DatatypeRef(wire.name, wire.version or "") if wire is not None and wire.name else None
        check_kind(item.validator or "", datatype, with_blob=True)
        return seal_data(
            format_uuid(self._world.new_id()), now, text,
            validator=item.validator or "", datatype=datatype, blob=BlobRef(hash.hex(), size),
        )  # fmt: skip

    def _blob_here(self, hash: bytes) -> BlobRow:
        found = self._store.peek(lambda tx: blobs.find(tx, self.namespace.number, hash))
        if found is None:
            raise NotFound("FF10239", f"No blob with hash '{hash.hex()}' is known here: upload it first")
        return found

    def _stored_item(self, item: WireItem) -> tuple[int, Data]:
        id = parse_uuid(item.id or "")
        found = self._store.peek(lambda tx: messages.find_data(tx, self.namespace.number, id))
        if found is None or (item.hash and normal_hash(item.hash) != found[1].hash.hex()):
            raise Invalid("FF10204", f"Data reference {item.id} cannot be resolved: no such data, or another hash")
        if found[1].blob is not None and found[1].blob.hash:
            check_kind(found[1].validator, found[1].datatype, with_blob=True)
            self._blob_here(parse_hash(found[1].blob.hash))
        elif found[1].datatype is not None:
            check_item(self._store, self.namespace, found[1])
        return found

    async def keep(self, item: WireItem, value_text: ValueText) -> Data:
        """Store one data item by itself; on disk when this returns. Raises as `begin`, Full."""
        self._check_room()
        kept = self._new_item(item, value_text(item.value), self._world.now())

        def unit(tx: Transaction) -> None:
            if kept.blob is not None and blobs.find(tx, self.namespace.number, parse_hash(kept.blob.hash)) is None:
                raise _gone(kept)
            data.keep(tx, self.namespace.number, kept)

        await self._store.write(unit)
        return kept

    def _store_all(self, tx: Transaction, accepted: Sequence[Accepted], known: dict[str, int]) -> Refusals:
        """Store what can be stored; who is refused, and why. Raises Full, and then nothing is stored."""
        self._check_backlog(tx, len(accepted))
        refusals: Refusals = {}
        used: dict[str, str] = {}
        storing: list[NewMessage] = []
        gone = self._gone(tx, known) if known else ()
        for place, each in enumerate(accepted):
            if gone and (lost := _first_lost(each.message, gone)):
                refusals[place] = _gone(lost)
                continue
            first = self._first_user(tx, each, used)
            if first is not None:
                refusals[place] = _already_used(each.message.idempotency_key, first)
            else:
                storing.append(each.message)
        if storing:
            messages.append(tx, self.namespace.number, storing, state=messages.READY, known=known)
            tx.ring("messages")
        return refusals

    def _gone(self, tx: Transaction, known: dict[str, int]) -> Collection[str]:
        """What was stored when it was referred to, and has been deleted since."""
        number = self.namespace.number
        return {
            name
            for name, sequence in known.items()
            if (data.sequence_of(tx, number, parse_uuid(name)) != sequence if sequence else
                blobs.find(tx, number, parse_hash(name)) is None)
        }  # fmt: skip

    def _first_user(self, tx: Transaction, accepted: Accepted, used: dict[str, str]) -> str | None:
        """The id of the message that used the idempotency key before."""
        key = accepted.message.idempotency_key
        if key is None:
            return None
        if key in used:
            return used[key]
        found = messages.by_idempotency_key(tx, self.namespace.number, key)
        used[key] = accepted.id_text if found is None else format_uuid(found)
        return None if found is None else used[key]

    def _check_backlog(self, tx: Transaction, more: int) -> None:
        sent = offsets.read(tx, offsets.BATCH, batch_offset_name(self.namespace.name)) or 0
        waiting = messages.last_sequence(tx) - sent
        if waiting + more > self.limits.unsent_messages_max:
            raise Full(
                "FFD2501",
                f"{waiting} messages wait to be sent and the limit is {self.limits.unsent_messages_max}: see in "
                f"`ffctl status` what holds the ledger or the storage, then send again",
            )


def _first_lost(message: NewMessage, gone: Collection[str]) -> Data | None:
    for item in message.items:
        if item.id in gone or (item.blob is not None and item.blob.hash in gone):
            return item
    return None


def _gone(item: Data) -> Invalid:
    what = item.id if item.blob is None else f"{item.id} with blob {item.blob.hash}"
    return Invalid("FF10204", f"Data reference {what} cannot be resolved: it has just been deleted")


def batch_offset_name(namespace: str) -> str:
    """The name of the offset up to which the broadcasts of a namespace are in batches."""
    return f"{namespace}:{BROADCAST}"


def _topics(topics: Sequence[str | None] | None) -> tuple[str, ...]:
    return tuple([topic or "" for topic in topics]) if topics else ()


def _tx_type(text: str | None) -> str:
    return CONTRACT_INVOKE_PIN if text and text.lower() == CONTRACT_INVOKE_PIN else BATCH_PIN


def check_kind(validator: str, datatype: DatatypeRef | None, *, with_blob: bool) -> None:
    """Refuse an unknown validator, a datatype that cannot be one, and what no member could ever validate.

    The hash of a data item with a blob is not that of its value, which FireFly's nodes take for a fault of theirs: one
    such message, and each of them would stand still (FireFly reference 13, Q15).
    """
    checked = check_validator(validator)
    if datatype is None:
        return
    check_name(datatype.name, "datatype.name")
    if datatype.version:
        check_name(datatype.version, "datatype.version")
    if with_blob and checked == "json":
        raise Invalid(
            "FFD2504", f"Data with a blob cannot follow datatype '{datatype.name}': send it with validator none"
        )


def _already_used(key: str | None, first: str) -> Conflict:
    return Conflict("FF10430", f"Idempotency key '{key}' already used for message '{first}'")
