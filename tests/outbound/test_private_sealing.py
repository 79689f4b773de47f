"""Private messages as they are accepted and sealed: who is in the group, which pins they get, who is owed what."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from ffd.model.batch import parse_wrapper
from ffd.model.context import nonce_key, private_pin
from ffd.model.errors import FfdError
from ffd.model.group import Member, group_hash, parse_group, sort_members
from ffd.model.ids import format_uuid, sha256
from ffd.model.namespace import org_did
from ffd.outbound.accept import Accepted, AcceptLimits
from ffd.outbound.draft import parse_private
from ffd.outbound.private_sealing import PrivateSealer, SealedPrivate
from ffd.store import Transaction, batches, blobs, identities, messages
from ffd.store.blobs import BlobRow
from ffd.store.identities import CUSTOM, NODE, IdentityRow
from tests.outbound.author import BATCHES, Author, open_author, uid
from tests.simulation.disk import Disk, Loss
from tests.simulation.surroundings import EPOCH_NS

MACHINES = {"machine": "me", "bobs": "bob", "carls": "carl"}
ME, BOB = Member(org_did("me"), format_uuid(uid("machine"))), Member(org_did("bob"), format_uuid(uid("bobs")))


async def meet(author: Author) -> None:
    """Know the nodes of bob and carl, and the custom identity `me.shop`."""

    def unit(tx: Transaction) -> None:
        number = author.namespace.number
        for name, owner in MACHINES.items():
            row = IdentityRow(uid(name), f"did:firefly:node/{name}", NODE, uid(owner), name, None, EPOCH_NS)
            identities.register(tx, number, row)
        shop = IdentityRow(uid("shop"), "did:firefly:shop", CUSTOM, uid("me"), "shop", None, EPOCH_NS)
        identities.register(tx, number, shop)

    await author.store.write(unit)


async def whisper(author: Author, *to: Any, **header: Any) -> Accepted:
    (outcome,) = await author.acceptor.accept([letter(*to, **header)])
    if isinstance(outcome, FfdError):
        raise outcome
    return outcome


def letter(*to: Any, **header: Any) -> Any:
    members = [{"identity": each} if isinstance(each, str) else each for each in to]
    body: dict[str, Any] = {"header": header, "data": [{"value": "psst"}], "group": {"members": members}}
    return parse_private(json.dumps(body).encode())


def sealer_of(author: Author, kind: int = messages.MASKED) -> PrivateSealer:
    return PrivateSealer(author.world, author.namespace, BATCHES, "exchange", "ledger", kind)


async def seal(author: Author, sealer: PrivateSealer | None = None) -> list[SealedPrivate]:
    sealer, made = sealer or sealer_of(author), list[SealedPrivate]()
    while page := await author.store.write(sealer.seal_page):
        made += page
    return made


def header_of(accepted: Accepted) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(accepted.message.header)
    return found


async def test_the_group_is_that_of_its_members_in_whatever_order_and_the_author_is_one(
    author: Author, autojump_clock: object
) -> None:
    await meet(author)
    wanted = group_hash("network", "", sort_members([ME, BOB])).hex()
    for to in (["bob"], ["me", "bob"], ["did:firefly:org/bob", {"identity": "me", "node": "did:firefly:node/machine"}]):
        assert header_of(await whisper(author, *to))["group"] == wanted
    assert author.count("groups") == 1
    kinds = [json.loads(text)["type"] for (text,) in author.rows("SELECT header FROM messages ORDER BY sequence")]
    assert kinds == ["groupinit", "private", "private", "private"]


async def test_an_author_that_is_no_organisation_is_a_member_itself(author: Author, autojump_clock: object) -> None:
    await meet(author)
    key = author.namespace.key
    await author.store.write(
        lambda tx: tx.execute("UPDATE verifiers SET identity = ? WHERE value = ?", (uid("shop"), key))
    )
    await whisper(author, "bob", key=key)
    ((members,),) = author.rows("SELECT members FROM groups")
    assert {each["identity"] for each in json.loads(members)} == {"did:firefly:shop", org_did("bob")}


REFUSED: dict[str, tuple[Sequence[Any], dict[str, Any], str]] = {
    "a node of somebody else": ([{"identity": "bob", "node": "did:firefly:node/carls"}], {}, "FF10422"),
    "nobody": ([], {}, "FF00115"),
    "a group that nobody knows": ([], {"group": "ab" * 32}, "FF10226"),
    "too large": (["bob"], {"topics": ["t"], "tag": "large"}, "FF10328"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_sent_is_refused_and_founds_nothing(disk: Disk, autojump_clock: object, name: str) -> None:
    to, header, code = REFUSED[name]
    limits = AcceptLimits(message_bytes_max=500 if name == "too large" else 10_000)
    async with open_author(disk, limits=limits) as author:
        await meet(author)
        with pytest.raises(FfdError) as refused:
            await whisper(author, *to, **header)
        assert refused.value.code == code
        assert author.count("groups") == author.count("messages") == 0


async def test_a_group_without_the_author_takes_nothing_from_it(author: Author, autojump_clock: object) -> None:
    await meet(author)
    group = header_of(await whisper(author, "bob"))["group"]
    await author.store.write(lambda tx: tx.execute("UPDATE groups SET members = replace(members, 'org/me', 'org/x')"))
    author.acceptor._groups.clear()
    with pytest.raises(FfdError, match="FFD2506"):
        await whisper(author, group=group)


async def test_pins_count_for_each_topic_and_author_and_are_never_used_twice(
    disk: Disk, autojump_clock: object
) -> None:
    async with open_author(disk) as author:
        await meet(author)
        group = bytes.fromhex(header_of(await whisper(author, "bob", topics=["a"]))["group"])
        await whisper(author, "bob", topics=["a", "b"])
        sealed = await seal(author)
        disk.lose_power()
    disk.come_back(Loss.DROP)
    async with open_author(disk) as author:
        await whisper(author, "bob", topics=["b", "a"])
        sealed += await seal(author)
        me = org_did("me")
        founding = private_pin(group.hex(), group, me, 0)
        pins = [(topic, nonce) for topic, nonce in (("a", 0), ("a", 1), ("b", 0), ("b", 1), ("a", 2))]
        assert [pin for batch in sealed for pin in batch.contexts] == [
            founding, *(private_pin(topic, group, me, nonce) for topic, nonce in pins),
        ]  # fmt: skip
        last = author.rows("SELECT nonce FROM nonces WHERE hash = ?", nonce_key("a", group, me))
        assert last == [(2,)]


@pytest.mark.parametrize("kind", [messages.MASKED, messages.UNMASKED])
async def test_a_private_batch_is_the_same_to_the_last_byte_after_a_restart(
    disk: Disk, autojump_clock: object, kind: int
) -> None:
    txtype = "unpinned" if kind == messages.UNMASKED else "batch_pin"
    async with open_author(disk) as author:
        await meet(author)
        await whisper(author, "bob", "carl", txtype=txtype, topics=["a", "b"])
        await whisper(author, "bob", "carl", txtype=txtype)
        await author.accept("a broadcast between")
        await whisper(author, "bob", "carl", txtype=txtype)
        (sealed,) = await seal(author, sealer_of(author, kind))
        disk.lose_power()
    disk.come_back(Loss.DROP)
    async with open_author(disk) as author:
        sealer, number = sealer_of(author, kind), author.namespace.number
        unsent = partial(batches.unsent, namespace=number, type="private", limit=9)
        (row,) = author.store.peek(partial(unsent, pinned=kind == messages.MASKED))
        assert author.store.peek(partial(sealer.load, row=row)) == sealed
        assert author.store.peek(partial(unsent, pinned=kind != messages.MASKED)) == []
        wrapped = author.store.peek(lambda tx: sealer.wrapper(tx, row, sealed.payload, with_group=True))
        wrapper = parse_wrapper(wrapped, 1_000_000)
        assert wrapper.group is not None and parse_group(wrapper.group, "network").hash == row.group_hash
        assert wrapper.batch.head.hash == sha256(row.manifest.encode())
        assert [bool(message.pins) for message in wrapper.batch.messages] == [kind == messages.MASKED] * sealed.messages
        assert set(sealed.owed) == {uid("bobs"), uid("carls")}


async def test_a_mixed_load_is_sealed_by_kind_each_in_its_order(author: Author, autojump_clock: object) -> None:
    await meet(author)
    for number in range(4):
        await whisper(author, "bob", tag=f"p{number}")
        await author.accept({"header": {"tag": f"b{number}"}, "data": [{"value": number}]})
        await whisper(author, "bob", tag=f"u{number}", txtype="unpinned")

    def tags(payload: bytes) -> list[str]:
        return [each["header"].get("tag", "") for each in json.loads(payload)["payload"]["messages"]]

    broadcasts = await author.store.write(author.sealer.seal_page)
    pinned, unpinned = await seal(author), await seal(author, sealer_of(author, messages.UNMASKED))
    assert [tags(each.payload) for each in broadcasts] == [[f"b{n}" for n in range(4)]]
    assert [tags(each.payload) for each in pinned] == [["ff_define_group", *(f"p{n}" for n in range(4))]]
    assert [tags(each.payload) for each in unpinned] == [[f"u{n}" for n in range(4)]]
    assert author.store.peek(author.sealer.waiting) == author.store.peek(sealer_of(author).waiting) == 0


async def test_a_message_for_a_contract_travels_alone(author: Author, autojump_clock: object) -> None:
    await meet(author)
    await whisper(author, "bob", tag="one")
    await whisper(author, "bob", tag="alone", txtype="contract_invoke_pin")
    await whisper(author, "bob", tag="two")
    sealed = await seal(author)
    assert [(each.row.tx_type, each.messages) for each in sealed] == [
        ("batch_pin", 2), ("contract_invoke_pin", 1), ("batch_pin", 1),
    ]  # fmt: skip


async def test_each_node_is_owed_a_batch_once_and_its_blobs_first(author: Author, autojump_clock: object) -> None:
    await meet(author)
    number, tea = author.namespace.number, sha256(b"tea")
    await author.store.write(lambda tx: blobs.record(tx, number, BlobRow(tea, 3, 1)))
    body = {"group": {"members": [{"identity": "bob"}, {"identity": "carl"}]}, "data": [{"blob": {"hash": tea.hex()}}]}
    (accepted,) = await author.acceptor.accept([parse_private(json.dumps(body).encode())])
    assert isinstance(accepted, Accepted)
    (sealed,) = await seal(author)
    rows = author.rows(
        "SELECT w.node, o.type FROM owed w JOIN operations o ON o.sequence = w.operation ORDER BY w.operation"
    )
    for node in (uid("bobs"), uid("carls")):
        assert [type for to, type in rows if to == node] == ["dataexchange_send_blob", "dataexchange_send_batch"]
    assert author.rows("SELECT count(*) FROM operations WHERE type LIKE 'sharedstorage%'") == [(0,)]
    assert set(sealed.owed) == {uid("bobs"), uid("carls")}
