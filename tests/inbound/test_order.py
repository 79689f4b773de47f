"""Who may go now: the rule of turns, in a small notation.

One word a message: its contexts, then what of it: `.` all of it is here, `?` its payload has not come, `@` nobody knows
its author. The words before the bar were left waiting by earlier pages. The result: the numbers of those that go, then
what each of the others waits for.
"""

from dataclasses import dataclass

import pytest

from ffd.inbound.order import Cause, Turn, blocked_by, take_turns

KINDS = {".": None, "?": Cause.PAYLOAD, "@": Cause.AUTHOR}
TURNS = {
    "nothing at all": ("", "go -"),
    "all complete": ("a. a. b.", "go 123"),
    "a gap holds its own context": ("a? a. b.", "go 3, 1 payload, 2 a"),
    "a gap behind one that goes": ("a. a? a.", "go 1, 2 payload, 3 a"),
    "an unknown author is a gap": ("a@ a.", "go -, 1 author, 2 a"),
    "two contexts are one queue": ("a? ab. b.", "go -, 1 payload, 2 a, 3 b"),
    "blocked on the second context": ("b? ab. a.", "go -, 1 payload, 2 b, 3 a"),
    "a chain over four contexts": ("a? ab. bc. cd. d.", "go -, 1 payload, 2 a, 3 b, 4 c, 5 d"),
    "a chain that a free context does not join": ("a? ab. c. bc.", "go 3, 1 payload, 2 a, 4 b"),
    "one that waits for itself says so": ("a? a?", "go -, 1 payload, 2 payload"),
    "the same context twice in one message": ("aa. a.", "go 12"),
    "left behind by an earlier page": ("a? | a. b.", "go 2, 1 a"),
    "left behind only for its turn": ("a? a. | ab. b.", "go -, 1 a, 2 b"),
    "left behind on another context": ("c? | a. b.", "go 12"),
}


@dataclass
class Line:
    """The words of a row as turns: pins are numbered over all of them."""

    left: dict[str, int]
    page: list[Turn]


def read(text: str) -> Line:
    before, _, page = text.rpartition("|")
    left: dict[str, int] = {}
    for number, word in enumerate(before.split()):
        for context in word[:-1]:
            left.setdefault(context, number)
    return Line(left, [turn(word, 100 * number) for number, word in enumerate(page.split(), 1)])


def turn(word: str, pin: int) -> Turn:
    return Turn([(context.encode(), pin + n) for n, context in enumerate(word[:-1])], KINDS[word[-1]])


def show(page: list[Turn], dispatched: list[Turn], waiting: list[Turn]) -> str:
    numbers = {id(each): number for number, each in enumerate(page, 1)}
    causes = [
        f"{numbers[id(each)]} {bytes.fromhex(each.subject).decode() if each.cause is Cause.ORDER else each.cause}"
        for each in waiting
    ]
    return ", ".join([f"go {''.join(str(numbers[id(each)]) for each in dispatched) or '-'}", *causes])


@pytest.mark.parametrize("text, expected", TURNS.values(), ids=TURNS.keys())
def test_turns_are_taken_in_ledger_order(text: str, expected: str) -> None:
    line = read(text)
    dispatched, waiting = take_turns(line.page, lambda context: line.left.get(context.decode()))
    assert show(line.page, dispatched, waiting) == expected


BLOCKED = {
    "nobody waits": ({}, ""),
    "an earlier pin waits": ({"a": 99}, "a"),
    "it is the first itself": ({"a": 100}, ""),
    "a later pin waits": ({"a": 101}, ""),
    "an earlier pin waits on its second context": ({"a": 100, "b": 7}, "b"),
}


@pytest.mark.parametrize("left, context", BLOCKED.values(), ids=BLOCKED.keys())
def test_only_an_earlier_pin_blocks(left: dict[str, int], context: str) -> None:
    found = blocked_by(turn("ab.", 100), lambda context: left.get(context.decode()))
    assert (found or b"").decode() == context
