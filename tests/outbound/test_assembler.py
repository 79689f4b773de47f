"""Which messages travel together, as tables. A word is a message: author, what it is, size in tens of bytes."""

import pytest

from ffd.model.message import BATCH_PIN, CONTRACT_INVOKE_PIN
from ffd.outbound.assembler import BATCH_SIZE_BASE, BatchLimits, HeaderView, Passenger, assemble
from ffd.store.messages import ReadyMessage

LIMITS = BatchLimits(messages_max=3, bytes_max=BATCH_SIZE_BASE + 100)

# "a" alice's, "a!" with a contract call, "a/2" with her second key, "a9" of 90 bytes; "|" parts the batches
BATCHES = {
    "nothing": ("", ""),
    "one": ("a", "1"),
    "together": ("a a a", "1 2 3"),
    "full by count": ("a a a a", "1 2 3 | 4"),
    "full by bytes": ("a5 a5 a5", "1 2 | 3"),
    "larger than any batch": ("a99 a", "1 | 2"),
    "two authors": ("a b a b", "1 3 | 2 4"),
    "an author's order is kept when its batch is full": ("a9 b a9 a b a", "1 | 2 5 | 3 4 6"),
    "a call travels alone": ("a a! a a", "1 | 2 | 3 4"),
    "two calls": ("a! a!", "1 | 2"),
    "two keys": ("a a/2 a", "1 | 2 | 3"),
}


@pytest.mark.parametrize("words, wanted", BATCHES.values(), ids=BATCHES)
def test_messages_are_put_into_batches(words: str, wanted: str) -> None:
    passengers = [passenger(number, word) for number, word in enumerate(words.split(), 1)]
    made = [
        " ".join(str(rider.message.sequence) for rider in batch.passengers) for batch in assemble(passengers, LIMITS)
    ]
    assert " | ".join(made) == wanted


@pytest.mark.parametrize("words", [words for words, _ in BATCHES.values()], ids=BATCHES)
def test_no_message_is_in_an_earlier_batch_than_one_before_it_by_its_author(words: str) -> None:
    passengers = [passenger(number, word) for number, word in enumerate(words.split(), 1)]
    last: dict[str, int] = {}
    for batch in assemble(passengers, LIMITS):
        for rider in batch.passengers:
            assert last.get(rider.header.author, 0) < rider.message.sequence
            last[rider.header.author] = rider.message.sequence
    assert sum(len(batch.passengers) for batch in assemble(passengers, LIMITS)) == len(passengers)


def passenger(number: int, word: str) -> Passenger:
    author, _, key = word.strip("!0123456789").partition("/") if "/" not in word else word.partition("/")
    size = "".join(letter for letter in word if letter.isdigit()) if "/" not in word else ""
    txtype = CONTRACT_INVOKE_PIN if "!" in word else BATCH_PIN
    message = ReadyMessage(number, number.to_bytes(16, "big"), "", bytes(32), "[]", 10 * int(size or 0))
    return Passenger(message, HeaderView(author, author + key, txtype, ("topic",)))
