"""Private batches as the nodes of members make them, right and wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ffd.model.batch import BatchHead, batch_json, manifest_json, wrapper_json
from ffd.model.context import message_pin, nonce_key, private_pin
from ffd.model.data import Data, data_hash, data_json
from ffd.model.group import Member as GroupMember
from ffd.model.group import group_hash, members_json, sort_members
from ffd.model.ids import format_uuid, sha256
from ffd.model.message import GROUP_INIT, PRIVATE, TAG_GAP_FILL, Header, Sealed, message_json, seal
from ffd.model.namespace import org_did
from tests.inbound.member import NETWORK, Member, key_of, uid
from tests.simulation.surroundings import EPOCH_NS

TAG_GROUP = "ff_define_group"


def node_of(name: str) -> str:
    """The id of the node that is called so."""
    return format_uuid(uid(f"node {name}"))


@dataclass(frozen=True)
class Circle:
    """A group: organisations by name, each on the node of the same name unless another one stands behind a colon."""

    members: tuple[GroupMember, ...]

    @property
    def hash(self) -> bytes:
        return group_hash(NETWORK, "", self.members)

    @property
    def json(self) -> str:
        """The group as a message or a wrapper tells of it."""
        listed = members_json(self.members)
        return f'{{"namespace":"{NETWORK}","name":"","members":{listed},"hash":"{self.hash.hex()}"}}'


def circle(*names: str) -> Circle:
    """A group of these: `alice`, or `alice:second` for her second node."""
    split = [name.partition(":") for name in names]
    return Circle(sort_members([GroupMember(org_did(org), node_of(node or org)) for org, _, node in split]))


@dataclass(frozen=True)
class Letter:
    """A private batch: its id and hash, what the data exchange carries, the pins on the ledger, and who signs."""

    name: str
    node: str
    author: str
    id: bytes
    hash: bytes
    head: BatchHead
    messages: tuple[tuple[Sealed, tuple[str, ...]], ...]
    data: tuple[Data, ...]
    pins: tuple[bytes, ...]
    group: str | None = None

    @property
    def key(self) -> str:
        return self.messages[0][0].header.key

    @property
    def wrapper(self) -> str:
        """What a data exchange carries."""
        texts = [message_json(each.header_json, each.hash, each.refs_json, pins=pins) for each, pins in self.messages]
        data = [data_json(item, form="private") for item in self.data]
        return wrapper_json(batch_json(self.head, texts, data), self.group)

    def ids(self) -> list[str]:
        """The ids of its messages."""
        return [each.header.id for each, _ in self.messages]

    def with_head(self, **other: Any) -> Letter:
        """The same with something else beside what is hashed."""
        return replace(self, head=replace(self.head, **other))


@dataclass
class Pen:
    """An organisation at one of its nodes, which counts the nonces of what is sent through it."""

    author: str
    node: str
    nonces: Counter[bytes] = field(default_factory=Counter)

    def take(self, topic: str, to: Circle) -> tuple[bytes, str]:
        """The next pin on a topic, on the ledger and in a message."""
        key = nonce_key(topic, to.hash, org_did(self.author))
        nonce = self.nonces[key]
        self.nonces[key] += 1
        pin = private_pin(topic, to.hash, org_did(self.author), nonce)
        return pin, message_pin(pin, nonce)

    def write(self, name: str, to: Circle, *topics: Sequence[str], pins: Sequence[Any] = (), **more: Any) -> Letter:
        """A batch of one message for each of `topics`; `pins` are others than its author's next ones."""
        taken = list(pins) or [[self.take(topic, to) for topic in each] for each in topics]
        return self.pack(name, to, [(topics[n], taken[n]) for n in range(len(topics))], **more)

    def pack(self, name: str, to: Circle, said: Sequence[tuple[Sequence[str], Any]], **more: Any) -> Letter:
        """A batch of messages on these topics with these pins; `more` is of their headers, or their `item`."""
        data = more.pop("data", ...)
        messages: list[tuple[Sealed, tuple[str, ...]]] = []
        items: list[Data] = []
        for number, (topics, pins) in enumerate(said):
            id = f"{name}/{number}"
            own = [said_in(id)] if data is ... else list(data)
            fields = {"author": org_did(self.author), "key": key_of(self.author), "group": to.hash.hex()} | more
            messages.append((seal_private(id, topics, own, **fields), tuple(text for _, text in pins)))
            items += own
        return letter(name, self.author, self.node, to, messages, items, [pin for _, pins in said for pin, _ in pins])

    def found(self, name: str, to: Circle, *, value: str | None = None) -> Letter:
        """A batch with the message that founds a group."""
        topic = to.hash.hex()
        item = said_in(f"{name}/0", value or to.json, validator="definition")
        return self.pack(name, to, [([topic], [self.take(topic, to)])], type=GROUP_INIT, tag=TAG_GROUP, data=[item])

    def fill(self, gap: Letter, to: Circle) -> Letter:
        """A batch that takes the place of one that can never be sent: the same pins, and no content."""
        (message, _), *_ = gap.messages
        header = message.header
        said = [(header.topics, [(pin, text) for pin, text in zip(gap.pins, gap.messages[0][1], strict=True)])]
        return self.pack(f"instead of {gap.name}", to, said, cid=header.id, tag=TAG_GAP_FILL, data=[])


def said_in(name: str, value: str = '"tea"', **more: Any) -> Data:
    """The data item of a message."""
    return Data(
        id=format_uuid(uid(f"data of {name}")), hash=data_hash(value, None), created=EPOCH_NS, value=value, **more
    )


def seal_private(name: str, topics: Sequence[str], items: Sequence[Data], **header: Any) -> Sealed:
    """A private message, sealed."""
    fields = {"type": PRIVATE, "txtype": "batch_pin"} | header
    return seal(
        Header(
            id=format_uuid(uid(name)), created="2024-03-01T12:00:00Z", namespace=NETWORK, topics=tuple(topics), **fields
        ),
        [item.ref for item in items],
    )


def letter(
    name: str, author: str, node: str, to: Circle, messages: Sequence[tuple[Sealed, tuple[str, ...]]],
    data: Sequence[Data], pins: Sequence[bytes],
) -> Letter:  # fmt: skip
    """A private batch with this content."""
    header = messages[0][0].header
    batch, tx = format_uuid(uid(name)), format_uuid(uid(f"tx of {name}"))
    manifest = manifest_json(
        batch, header.txtype, tx, [(each.header.id, each.hash.hex(), len(each.header.topics)) for each, _ in messages],
        [item.ref for item in data],
    )  # fmt: skip
    hash = sha256(manifest.encode())
    head = BatchHead(
        batch, PRIVATE, NETWORK, node_of(node), to.hash.hex(), EPOCH_NS, header.author, header.key, hash,
        header.txtype, tx,
    )  # fmt: skip
    return Letter(name, node, author, uid(name), hash, head, tuple(messages), tuple(data), tuple(pins))


async def bring(member: Member, *letters: Letter) -> None:
    """The nodes of their authors bring batches. Raises what refuses one."""
    for each in letters:
        await member.take(node_of(each.node), each.wrapper)


async def pin(member: Member, *letters: Letter, **other: Any) -> None:
    """The ledger pins batches, masked; `other` is what is wrong with the pins."""
    for each in letters:
        fields = {"signer": each.key, "batch": each.id, "batch_hash": each.hash, "contexts": each.pins} | other
        await member.pin(member.next_event(**{"payload_ref": ""} | fields))


async def meet(member: Member, *names: str) -> None:
    """Organisations and their nodes are known: `alice`, or `alice:second` for another node of hers."""
    for name in names:
        org, _, node = name.partition(":")
        await member.know(key_of(org), org_did(org))
        await member.appoint(node_of(node or org), org_did(org))
