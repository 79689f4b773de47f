"""A sealed batch never changes: the same bytes under the same names, whatever happens in between."""

import json
from functools import partial

import pytest

from ffd.inbound.arrivals import read_payload
from ffd.model.context import broadcast_context
from ffd.model.ids import sha256
from ffd.outbound.assembler import BatchLimits
from ffd.outbound.sealing import OFFSET_LAG_MAX, SealedBatch
from ffd.store import Transaction, batches, messages, operations
from ffd.store.messages import NewMessage
from tests.outbound.author import Author, open_author
from tests.simulation.disk import Disk, Loss


async def seal(author: Author) -> list[SealedBatch]:
    """Seal all that is ready."""
    made: list[SealedBatch] = []
    while page := await author.store.write(author.sealer.seal_page):
        made += page
    return made


async def load_unsent(author: Author) -> list[SealedBatch]:
    """The batches that a restart has to bring out."""
    number = author.namespace.number
    rows = await author.store.read(lambda tx: batches.unsent(tx, number, "broadcast", limit=100))
    return [author.store.peek(partial(author.sealer.load, row=row)) for row in rows]


VARIED = (
    {
        "header": {"topics": ["b", "a", "b.c"], "tag": "t"},
        "data": [{"value": {"z": 1.50, "a": "\u2028<&>"}}, {"value": 2}],
    },
    "\u20ac \ud83c\udf75",
    {"header": {"topics": ["a"]}},
    {"header": {"txtype": "contract_invoke_pin"}, "data": [{"value": "alone"}]},
    b'{"data":[{"value": {"b":1e400,"a":"\\ud800","b":[ 1 , 2.0 ]} ,"validator":"none"}],"idempotencyKey":"k"}',
)  # fmt: skip


@pytest.mark.parametrize("lose", [None, Loss.DROP, Loss.KEEP])
async def test_a_batch_is_the_same_to_the_last_byte_after_a_restart(
    disk: Disk, autojump_clock: object, lose: Loss | None
) -> None:
    async with open_author(disk, batch=BatchLimits(messages_max=2)) as author:
        (first, *_) = await author.accept(*VARIED)
        await author.accept({"data": [{"id": first.message.items[0].id}, {"value": "and more"}]})
        sealed = await seal(author)
        assert [len(json.loads(each.payload)["payload"]["messages"]) for each in sealed] == [2, 1, 1, 2]
        if lose is not None:
            disk.lose_power()
    if lose is not None:
        disk.come_back(lose)
    async with open_author(disk) as author:
        assert await load_unsent(author) == sealed
        assert await seal(author) == [], "nothing is sealed twice"


async def test_a_batch_is_what_every_member_will_take(author: Author, autojump_clock: object) -> None:
    await author.accept(*VARIED)
    for each in await seal(author):
        found = read_payload(each.payload, "network", 1 << 20)
        assert found.refusal is None and found.batch is not None, str(found.refusal)
        assert found.batch.head.hash == each.row.hash == sha256(each.row.manifest.encode())
        assert found.batch.manifest_json == each.row.manifest
        assert each.row.payload_hash == sha256(each.payload)
        topics = [topic for message in found.batch.messages for topic in message.header.topics]
        assert list(each.contexts) == [broadcast_context(topic) for topic in topics]


async def test_a_batch_has_its_operations_its_transaction_and_its_event(author: Author, autojump_clock: object) -> None:
    await author.accept("tea")
    (batch,) = await seal(author)
    made = author.store.peek(lambda tx: operations.of_tx(tx, batch.row.tx))
    assert [(each.id, each.type, each.status, each.plugin) for each in made] == [
        (batch.upload, "sharedstorage_upload_batch", "Initialized", "storage"),
        (batch.pin, "blockchain_pin_batch", "Initialized", "ledger"),
    ]
    assert author.rows("SELECT type, reference, topic, tx FROM events") == [
        ("transaction_submitted", batch.row.tx, "batch_pin", batch.row.tx)
    ]
    assert author.rows("SELECT id, type FROM transactions") == [(batch.row.tx, "batch_pin")]


async def test_nothing_is_left_of_a_sealing_that_does_not_reach_the_disk(
    author: Author, autojump_clock: object
) -> None:
    await author.accept("tea")

    def seal_and_fail(tx: Transaction) -> None:
        author.sealer.seal_page(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await author.store.write(seal_and_fail)
    assert author.count("batches") == author.count("operations") == author.count("events") == 0
    assert len(await seal(author)) == 1


async def test_one_transaction_seals_no_more_than_a_batch_may_hold(disk: Disk, autojump_clock: object) -> None:
    """Two hundred messages of the largest size would be in memory at once, several times over."""
    limits = BatchLimits(messages_max=200, bytes_max=10_000)
    async with open_author(disk, batch=limits) as author:
        accepted = await author.accept(*[f"{number}{'x' * 3_000}" for number in range(10)])
        sealed: list[SealedBatch] = []
        while page := await author.store.write(author.sealer.seal_page):
            assert sum(len(each.payload) for each in page) < limits.bytes_max
            sealed += page
        riders = [rider for each in sealed for rider in json.loads(each.payload)["payload"]["messages"]]
        assert [rider["header"]["id"] for rider in riders] == [each.id_text for each in accepted]


async def test_what_others_sent_is_passed_over(author: Author, autojump_clock: object) -> None:
    """The offset does not stay behind thousands of received messages, which would be read again each time."""
    (own,) = await author.accept("tea")
    received = [replace_id(own.message, number) for number in range(OFFSET_LAG_MAX + 1)]
    known, number = {own.message.items[0].id: 1}, author.namespace.number
    await author.store.write(lambda tx: messages.append(tx, number, received, state=messages.PENDING, known=known))
    assert len(await seal(author)) == 1
    assert author.store.peek(author.sealer.waiting) == 0
    (after,) = await author.accept("more tea")
    (batch,) = await seal(author)
    assert after.id_text in batch.row.manifest


def replace_id(message: NewMessage, number: int) -> NewMessage:
    """The message under another id."""
    id = sha256(number.to_bytes(4, "big"))[:16]
    return NewMessage(id, message.header, message.hash, message.data, message.size, message.items)
