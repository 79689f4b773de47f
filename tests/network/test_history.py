"""The checker of networks itself: what it must call bad, by its name, and what it must let pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest

from tests.network.history import Fault, Line, Member, NetworkHistory, Rule, Sent, Told, faults
from tests.processes import history as one
from tests.processes.history import Outcome, Value

NAMES = ("alice", "bob", "carol")
WINDOW = 3
HOUSE, GARDEN = Line("house"), Line("garden")
PAIR = Line("house", "pair")
NOTES = Line("notes", "pair", pinned=False)
GROUPS: Mapping[str, frozenset[str]] = {"pair": frozenset(NAMES[:2])}


@dataclass(frozen=True)
class Post:
    """A message that somebody sent."""

    value: Value
    author: str
    lines: tuple[Line, ...]
    batch: int = 3


GOOD = (
    Post(("a", 0), "alice", (HOUSE,), 0), Post(("b", 0), "bob", (HOUSE, GARDEN), 0),
    Post(("a", 1), "alice", (PAIR,), 1), Post(("c", 0), "carol", (GARDEN,), 1),
    Post(("b", 1), "bob", (PAIR,), 2), Post(("a", 2), "alice", (HOUSE,), 2),
    Post(("n", 0), "alice", (NOTES,)), Post(("m", 0), "bob", (NOTES,)),
)  # fmt: skip
"""In the ledger's order."""
REFUSED = Post(("d", 0), "carol", (HOUSE,))
NEW = Post(("e", 0), "carol", (GARDEN,))
SECRET = Post(("s", 0), "alice", (PAIR,))
LEDGER = {f"batch-{number}": number + 10 for number in range(4)}


def message(value: Value) -> str:
    return f"message-{value[0]}{value[1]}"


def sent(post: Post, outcome: Outcome = Outcome.ACCEPTED) -> Sent:
    id = message(post.value) if outcome is Outcome.ACCEPTED else ""
    return Sent(post.value, post.author, post.lines, outcome, id)


def table_of(posts: Sequence[Post]) -> list[Told]:
    """What a node tells that takes these posts in this order; an event of another kind is between any two."""
    pairs = [(post, line) for post in posts for line in post.lines]
    return [
        Told(2 * n + 2, f"event-{n}", message(post.value), line, post.value, f"batch-{post.batch}", post.author)
        for n, (post, line) in enumerate(pairs)
    ]


def with_table(member: Member, table: Sequence[Told]) -> Member:
    """A member that tells this, and whose reader heard all of it."""
    last = max((told.sequence for told in table), default=0)
    return replace(member, table=table, sequences=range(1, last + 1), lives=[table])


def history_of(posts: Sequence[Post], orders: Mapping[str, Sequence[int]]) -> NetworkHistory:
    """All posts were accepted, and each member took some of them, in an order of its own."""
    members = [
        with_table(Member(name, (), (), (), WINDOW), table_of([posts[place] for place in order]))
        for name, order in orders.items()
    ]
    attempts = [*map(sent, posts), sent(posts[1], Outcome.UNKNOWN), sent(REFUSED, Outcome.REFUSED)]
    return NetworkHistory(attempts, members, GROUPS, LEDGER)


ORDERS: Mapping[str, Sequence[int]] = {
    "alice": range(8),
    "bob": (7, 2, 0, 1, 4, 3, 5, 6),  # what others wrote without pins comes when it comes
    "carol": (0, 1, 5, 3),  # another topic may be ahead
}


def good(posts: Sequence[Post] = GOOD, **orders: Sequence[int]) -> NetworkHistory:
    return history_of(posts, {**ORDERS, **orders})


Change = Callable[[list[Told]], Sequence[Told]]
Spoil = Callable[[NetworkHistory], NetworkHistory]


def on(name: str, change: Change) -> Spoil:
    """A member that tells another story, which its reader has heard whole."""

    def spoil(history: NetworkHistory) -> NetworkHistory:
        members = [
            each if each.name != name else with_table(each, change(list(each.table))) for each in history.members
        ]
        return replace(history, members=members)

    return spoil


def telling(name: str, value: Value, **what: object) -> Spoil:
    """A member that tells something else of one value."""
    return on(name, lambda table: [replace(told, **what) if told.value == value else told for told in table])  # type: ignore[arg-type]


def more(name: str, post: Post) -> Spoil:
    """A member that has one message more, whoever it is for."""
    return on(name, lambda table: [*table, replace(table_of([post])[0], sequence=table[-1].sequence + 1, event="more")])


def also(post: Post, outcome: Outcome) -> Spoil:
    return lambda history: replace(history, sent=[*history.sent, sent(post, outcome)])


def both(*spoils: Spoil) -> Spoil:
    def spoil(history: NetworkHistory) -> NetworkHistory:
        for each in spoils:
            history = each(history)
        return history

    return spoil


def taking(**orders: Sequence[int]) -> Spoil:
    return lambda _: history_of(GOOD, {**ORDERS, **orders})


def hearing(*lives: slice) -> Spoil:
    """Alice's reader heard these parts of her table."""
    return lambda h: replace(
        h, members=[replace(h.members[0], lives=[h.members[0].table[life] for life in lives]), *h.members[1:]]
    )


def alices_reader(change: Change) -> Spoil:
    return lambda h: replace(
        h, members=[replace(h.members[0], lives=[change(list(h.members[0].table))]), *h.members[1:]]
    )


ALONE = one.Rule
BAD: dict[str, tuple[set[Rule | one.Rule], Spoil]] = {
    "two members have two messages of a topic the other way round": (
        {Rule.SPLIT, Rule.LEDGER_ORDER}, taking(carol=(0, 5, 1, 3)),
    ),
    "two members have one batch in two orders, of which the ledger knows nothing": (
        {Rule.SPLIT}, taking(carol=(1, 0, 5, 3)),
    ),
    "all members have one order, and it is not the ledger's": (
        {Rule.LEDGER_ORDER}, lambda h: replace(h, ledger={**LEDGER, "batch-0": 99}),
    ),
    "two members have a private topic in two orders": (
        {Rule.SPLIT, Rule.LEDGER_ORDER}, taking(bob=(0, 1, 3, 4, 2, 5, 6, 7)),
    ),
    "a message that was accepted is missing on one member": (
        {ALONE.LOST, Rule.PARTIAL}, taking(carol=(0, 1, 5)),
    ),
    "a message that was accepted is missing on all members": ({ALONE.LOST}, also(NEW, Outcome.ACCEPTED)),
    "a message that nobody knows the fate of is on one member only": (
        {Rule.PARTIAL}, both(also(NEW, Outcome.UNKNOWN), more("bob", NEW)),
    ),
    "a private message without a pin did not reach the other": (
        {ALONE.LOST, Rule.PARTIAL}, taking(bob=(7, 2, 0, 1, 4, 3, 5)),
    ),
    "somebody has a private message of others": (
        {Rule.LEAKED}, both(also(SECRET, Outcome.UNKNOWN), *(more(name, SECRET) for name in NAMES)),
    ),
    "a message that nobody sent": ({ALONE.INVENTED, Rule.PARTIAL}, more("carol", NEW)),
    "a message that was refused": ({ALONE.RESURRECTED, Rule.PARTIAL}, more("bob", REFUSED)),
    "a message has another content on one member": (
        {Rule.DIFFERENT}, telling("carol", ("a", 0), content="mallory"),
    ),
    "a message came in two batches": ({Rule.DIFFERENT}, telling("carol", ("c", 0), batch="batch-2")),
    "a message is told of on one of its two topics": (
        {Rule.DIFFERENT, Rule.PARTIAL},
        on("bob", lambda table: [told for told in table if (told.value, told.line) != (("b", 0), GARDEN)]),
    ),
    "a private message is told as if it were for all": (
        {Rule.DIFFERENT, Rule.PARTIAL}, telling("alice", ("b", 1), line=GARDEN),
    ),
    "a message is confirmed without a pin": (
        {Rule.UNPINNED}, both(*(telling(name, ("c", 0), batch="batch-7") for name in NAMES)),
    ),
    "a sender's messages changed places everywhere": (
        {ALONE.SENDER_ORDER},
        lambda _: good([replace(GOOD[0], value=("a", 2)), *GOOD[1:5], replace(GOOD[5], value=("a", 0)), *GOOD[6:]]),
    ),
    "a sender's messages without pins changed places at one": (
        {ALONE.SENDER_ORDER},
        lambda _: good([*GOOD, Post(("n", 1), "alice", (NOTES,))], alice=range(9), bob=(8, 7, 2, 0, 1, 4, 3, 5, 6)),
    ),
    "a message is told twice": (
        {ALONE.TWO_EVENTS},
        on("alice", lambda table: [*table, replace(table[-1], sequence=table[-1].sequence + 1, event="again")]),
    ),
    "one key became two messages": ({ALONE.TWO_MESSAGES}, telling("carol", ("c", 0), message="other")),
    "an id stands for two values": (
        {ALONE.TWO_MESSAGES, ALONE.TWO_VALUES, Rule.DIFFERENT}, telling("carol", ("c", 0), message="message-a2"),
    ),
    "a number is missing": (
        {ALONE.GAP}, lambda h: replace(h, members=[replace(h.members[0], sequences=[1, 2, 4]), *h.members[1:]]),
    ),
    "a reader was never given the last events": ({Rule.NOT_HEARD}, hearing(slice(3))),
    "a reader was not given one in the middle": (
        {ALONE.SKIPPED, Rule.NOT_HEARD}, alices_reader(lambda table: [*table[:3], *table[4:]]),
    ),
    "a reader heard another message under a number": (
        {ALONE.TWO_STORIES}, alices_reader(lambda table: [*table[:3], replace(table[3], message="other"), *table[4:]]),
    ),
    "a reader was given more again than its window": ({ALONE.REWOUND}, hearing(slice(6), slice(1, 9))),
    "a connection repeated an event": ({ALONE.NOT_RISING}, alices_reader(lambda table: [*table[:3], *table[2:]])),
}  # fmt: skip


@pytest.mark.parametrize(("rules", "spoil"), BAD.values(), ids=BAD)
def test_a_bad_history_is_named(rules: set[Rule | one.Rule], spoil: Spoil) -> None:
    found = faults(spoil(good()))
    assert {fault.rule for fault in found} == rules, [str(fault) for fault in found]


def test_every_rule_is_broken_by_some_history() -> None:
    assert set().union(*(rules for rules, _ in BAD.values())) == {*Rule, *one.Rule}


def test_a_mixture_is_named_whole() -> None:
    spoilt = both(BAD["somebody has a private message of others"][1], BAD["a number is missing"][1])(good())
    assert {fault.rule for fault in faults(spoilt)} == {ALONE.GAP, Rule.LEAKED}


def test_a_fault_is_one_line_that_says_where() -> None:
    assert str(Fault(Rule.SPLIT, "there")) == "split: there"
    (lost, *_) = faults(also(NEW, Outcome.ACCEPTED)(good()))
    assert str(lost) == "lost: on alice: ('e', 0) was accepted"
    (split,) = faults(taking(carol=(1, 0, 5, 3))(good()))
    assert str(split) == "split: house@all: carol has ('b', 0) before ('a', 0), and alice after it"


def test_a_good_history_passes() -> None:
    assert faults(good()) == []


GOOD_HISTORIES = 500


def test_good_histories_pass() -> None:
    for seed in range(GOOD_HISTORIES):
        assert faults(some_history(Random(seed))) == [], f"seed {seed}"


def some_history(random: Random) -> NetworkHistory:
    """A ledger, and members that each follow it line by line, some of them late, and what has no pin when it comes."""
    groups = {f"group {n}": frozenset(random.sample(NAMES, random.randint(1, 3))) for n in range(random.randrange(4))}
    posts = some_posts(random, groups)
    members = [some_member(random, name, [post for post in posts if is_for(post, name, groups)]) for name in NAMES]
    attempts = [sent(post, outcome) for post in posts for outcome in some_outcomes(random)]
    ledger = {f"batch-{place}": place for place, post in enumerate(posts) if post.lines[0].pinned}
    return NetworkHistory(attempts, members, groups, ledger)


def some_posts(random: Random, groups: Mapping[str, frozenset[str]]) -> list[Post]:
    counts: dict[str, int] = {}
    posts = []
    for batch in range(random.randrange(30)):
        group = random.choice(["", "", *groups])
        author = random.choice(sorted(groups.get(group, NAMES)))
        pinned = not group or random.random() < 0.7
        topics = random.sample("xyz", random.randint(1, 2))
        sender = f"{author}-{random.randrange(2)}"
        number = counts[sender] = counts.get(sender, -1) + 1
        lines = tuple(Line(topic, group, pinned) for topic in topics)
        posts.append(Post((sender, number), author, lines, batch))
    return posts


def is_for(post: Post, name: str, groups: Mapping[str, frozenset[str]]) -> bool:
    group = post.lines[0].group
    return not group or name in groups[group]


def some_outcomes(random: Random) -> list[Outcome]:
    return [Outcome.UNKNOWN] * random.randrange(3) + [random.choice((Outcome.ACCEPTED, Outcome.UNKNOWN))]


def some_member(random: Random, name: str, posts: Sequence[Post]) -> Member:
    """Takes the posts so that none overtakes another one of a line of its own."""
    left, taken = list(posts), []
    while left:
        free = [post for n, post in enumerate(left) if not any(meet(post, before) for before in left[:n])]
        taken.append(random.choice(free))
        left.remove(taken[-1])
    told = with_table(Member(name, (), (), (), random.randint(1, 5)), table_of(taken))
    return replace(told, lives=some_lives(random, told))


def meet(post: Post, before: Post) -> bool:
    """Must these two keep their order? Without pins it is only the sender's own that must."""
    shared = set(post.lines) & set(before.lines)
    return any(line.pinned or post.value[0] == before.value[0] for line in shared)


def some_lives(random: Random, member: Member) -> list[Sequence[Told]]:
    """What a reader heard that was killed now and then, and at last was given the time."""
    lives, reached = [], 0
    while random.random() < 0.7:
        start = max(0, reached - random.randint(0, member.window))
        end = random.randint(start, len(member.table))
        lives.append(member.table[start:end])
        reached = max(reached, end)
    return [*lives, member.table[max(0, reached - random.randint(0, member.window)) :]]
