"""Accept messages: check, seal, store. When `broadcast` returns, what it accepted is on disk.

This is the door of the pipeline, and the place of its admission control: beyond a limit a message is refused before it
does damage, and nothing of it is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import msgspec
import trio

from ffd.model.canonical import ValueText
from ffd.model.data import Data, data_json, seal_data
from ffd.model.errors import Conflict, FfdError, Full, Invalid
from ffd.model.ids import format_uuid, normal_uuid, parse_hash, parse_uuid
from ffd.model.message import (
    BATCH_PIN,
    BROADCAST,
    CONTRACT_INVOKE_PIN,
    DEFINITION,
    GROUP_INIT,
    NONE,
    PRIVATE,
    UNPINNED,
    Header,
    Sealed,
    message_json,
    seal,
)
from ffd.model.namespace import Namespace
from ffd.model.times import format_time
from ffd.outbound import recipients, signer
from ffd.outbound.definitions import Definition, group_definition
from ffd.outbound.draft import Draft, WireGroup, WireItem, check_idempotency_key
from ffd.outbound.items import Items
from ffd.outbound.recipients import Recipients
from ffd.store import Store, Transaction, blobs, data, groups, messages, offsets
from ffd.store.engine import Writing
from ffd.store.groups import GroupRow
from ffd.store.messages import NewMessage
from ffd.world import World

GATHERING_MAX = 500
MIB = 1 << 20
ROOM_CHECK_S = 0.1  # in so little time nobody fills the reserve
MESSAGE_SIZE_BASE = 1024
"""Bytes that a message is taken to need beside its data (FireFly reference 4.4)."""
DATA_SIZE_BASE = 256
GROUPS_KEPT_MAX = 1_000
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


class Founding(msgspec.Struct, frozen=True):
    """A group that nobody here knew, and the message that tells its members of it."""

    group: GroupRow
    message: NewMessage


class Accepted(msgspec.Struct, frozen=True):
    """A message that is on disk; `founding` comes before it when it is the first to its group."""

    id_text: str
    message: NewMessage
    founding: Founding | None = None

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
    """The door of one namespace.

    What it begins learns what is `known`: the sequence of each stored data item by its id, and 0 by the hash of each
    blob, so that what is deleted before the transaction is noticed in it.
    """

    def __init__(
        self, world: World, store: Store, namespace: Namespace, keys: signer.Keys, limits: AcceptLimits
    ) -> None:
        self.namespace = namespace
        self.limits = limits
        self._world = world
        self._store = store
        self._keys = keys
        self._items = Items(world, store, namespace)
        self._groups: dict[tuple[str, str], Recipients] = {}
        self._room_until = -inf
        self._gathering = Gathering()

    async def accept(self, drafts: Sequence[Draft]) -> list[Accepted | FfdError]:
        """Accept messages in the order given; for each the message, on disk, or why it was refused.

        Raises Full when none can be taken now.
        """
        return await self.begin(drafts).wait()

    def begin(self, drafts: Sequence[Draft]) -> Accepting:
        """Check and seal messages, and queue them behind all that were begun before. Raises Full."""
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
        message = self._seal_own(definition, DEFINITION)
        return Accepted(format_uuid(message.id), message)

    def _seal_own(self, definition: Definition, type: str, *, group: str = "") -> NewMessage:
        """A message whose content is this node's own. Raises Invalid FF10327, FF10328."""
        now, id = self._world.now(), self._world.new_id()
        item = seal_data(format_uuid(self._world.new_id()), now, definition.value, validator="definition")
        header = Header(
            format_uuid(id), "", type, BATCH_PIN, definition.author, definition.key, format_time(now),
            self.namespace.network_name, group, (definition.topic,), definition.tag,
        )  # fmt: skip
        sealed = seal(header, [item.ref])
        size = self._check_size(sealed, [item])
        return NewMessage(id, sealed.header_json, sealed.hash, sealed.refs_json, size, [item], private=_kind(sealed))

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
        """Everything that can be done before the transaction. Raises Invalid, NotFound."""
        wire, key_once = draft.header, draft.idempotency_key
        check_idempotency_key(key_once)
        if draft.large:
            self._check_raw_size(draft)
        author, key = self._resolve(wire.author or "", wire.key or "")
        to = None if draft.to is None else self._address(wire.group or "", draft.to, author, now)
        items = [self._items.resolve(draft, item, now, known) for item in draft.items]
        id = self._world.new_id()
        id_text = format_uuid(id)
        header = Header(
            id_text, normal_uuid(wire.cid) if wire.cid else "", BROADCAST if to is None else PRIVATE,
            _tx_type(wire.txtype, private=to is not None), author, key, format_time(now),
            self.namespace.network_name, "" if to is None else to.hash.hex(), _topics(wire.topics), wire.tag or "",
        )  # fmt: skip
        sealed = seal(header, [item.ref for item in items])
        size = self._check_size(sealed, items)
        message = NewMessage(
            id, sealed.header_json, sealed.hash, sealed.refs_json, size, items, key_once, private=_kind(sealed)
        )
        return Accepted(id_text, message, None if to is None or to.new is None else self._found(to.new, author, key))

    def _address(self, hash: str, group: WireGroup, author: str, now: int) -> Recipients:
        """The group of a private message. A group never changes: who may send to it is remembered."""
        known = self._groups.get((hash, author))
        if known is None:
            known = recipients.resolve(self._store, self.namespace, hash, group, author, now)
            if hash:
                if len(self._groups) >= GROUPS_KEPT_MAX:
                    self._groups.clear()
                self._groups[hash, author] = known
        return known

    def _found(self, group: GroupRow, author: str, key: str) -> Founding:
        """What tells all members of a new group (FireFly reference 4.2)."""
        definition = group_definition(self.namespace.network_name, group, author, key)
        message = self._seal_own(definition, GROUP_INIT, group=group.hash.hex())
        return Founding(group._replace(message=message.id), message)

    def _check_raw_size(self, draft: Draft) -> None:
        """Refuse what is too large whatever its white space, before the work that its values may make."""
        size = MESSAGE_SIZE_BASE
        for item in draft.items:
            value = bytes(item.value)
            size += DATA_SIZE_BASE + len(value) - sum(map(value.count, _WHITE_SPACE))
        self._check_fits(size, private=draft.to is not None)

    def _check_size(self, sealed: Sealed, items: Sequence[Data]) -> int:
        """The bytes that a message takes in a batch, estimated upwards. Raises Invalid FF10327, FF10328 beyond."""
        size = max(MESSAGE_SIZE_BASE, len(sealed.header_json) + len(sealed.refs_json) + MESSAGE_ENVELOPE)
        for item in items:
            usual = item.datatype is None and item.blob is None
            text = (item.value or "") if usual else data_json(item, form="broadcast")
            if item.blob is not None and not item.blob.public:
                size += PUBLIC_REFERENCE
            size += DATA_SIZE_BASE + (len(text) if text.isascii() else len(text.encode()))
        self._check_fits(size, private=bool(sealed.header.group))
        return size

    def _check_fits(self, size: int, *, private: bool) -> None:
        if size > self.limits.message_bytes_max:
            raise Invalid(
                "FF10328" if private else "FF10327",
                f"Message size {size / 1024:.2f}kb is too large for the max {'private' if private else 'broadcast'} "
                f"batch size of {self.limits.message_bytes_max / 1024:.2f}kb",
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

    async def keep(self, item: WireItem, value_text: ValueText) -> Data:
        """Store one data item by itself; on disk when this returns. Raises as `begin`, Full."""
        self._check_room()
        kept = self._items.make(item, value_text(item.value), self._world.now())

        def unit(tx: Transaction) -> None:
            if kept.blob is not None and blobs.find(tx, self.namespace.number, parse_hash(kept.blob.hash)) is None:
                raise _gone(kept)
            data.keep(tx, self.namespace.number, kept)

        await self._store.write(unit)
        return kept

    def _store_all(self, tx: Transaction, accepted: Sequence[Accepted], known: dict[str, int]) -> Refusals:
        """Store what can be stored; who is refused, and why. Raises Full, and then nothing is stored."""
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
                continue
            # Somebody else may have founded the group meanwhile, in whatever process.
            if each.founding is not None and groups.ensure(tx, self.namespace.number, each.founding.group):
                storing.append(each.founding.message)
            storing.append(each.message)
        if storing:
            self._store_ready(tx, storing, known)
        return refusals

    def _store_ready(self, tx: Transaction, storing: Sequence[NewMessage], known: dict[str, int]) -> None:
        for kind, more in Counter([message.private for message in storing]).items():
            self._check_backlog(self._waiting(tx, kind), more)
            tx.ring(messages.BELL if kind is None else messages.PRIVATE_BELL)
        messages.append(tx, self.namespace.number, storing, state=messages.READY, known=known)

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

    def _waiting(self, tx: Transaction, kind: int | None) -> int:
        """How many messages of a kind wait for a batch, at most."""
        if kind is not None:
            return messages.private_waiting(tx, self.namespace.number, kind)
        return messages.last_sequence(tx) - (
            offsets.read(tx, offsets.BATCH, batch_offset_name(self.namespace.name)) or 0
        )

    def _check_backlog(self, waiting: int, more: int) -> None:
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


def _kind(sealed: Sealed) -> int | None:
    if not sealed.header.group:
        return None
    return messages.UNMASKED if sealed.header.txtype == UNPINNED else messages.MASKED


def _tx_type(text: str | None, *, private: bool) -> str:
    """The transaction type of a message (FireFly reference 4.1, step 1): whoever asks for another gets `batch_pin`."""
    asked = text.lower() if text else ""
    if private and asked in (UNPINNED, NONE):
        return UNPINNED
    return CONTRACT_INVOKE_PIN if asked == CONTRACT_INVOKE_PIN else BATCH_PIN


def _already_used(key: str | None, first: str) -> Conflict:
    return Conflict("FF10430", f"Idempotency key '{key}' already used for message '{first}'")
