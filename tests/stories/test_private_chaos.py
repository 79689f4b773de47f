"""Private messages through everything at once: all members of a group have one order for each topic, and all of it."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

import pytest
import trio

from tests.simulation.disk import Loss
from tests.world import MESSAGE_CONFIRMED, Cast, Node

NAMES = ("alice", "bob", "carl")
GROUPS = (("alice", "bob"), ("bob", "carl"), ("alice", "bob", "carl"))
STEPS = 60
TOPICS = ("tea", "cake")
PAST_THE_LEDGER = "mail"


class Chaos:
    """Three nodes that whisper in overlapping groups while things break."""

    def __init__(self, world: Cast, nodes: Sequence[Node], rng: Random) -> None:
        self.world = world
        self.nodes = nodes
        self.rng = rng
        self.sent: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self.number = 0

    async def step(self) -> None:
        node = self.rng.choice(self.nodes)
        what = self.rng.choice(["whisper"] * 6 + ["crash", "ledger", "exchange", "cut", "lose", "heal", "wait"])
        if not node.running:
            await node.start()
        await getattr(self, what)(node)

    async def whisper(self, node: Node) -> None:
        group = self.rng.choice([each for each in GROUPS if node.name in each])
        values = [f"{node.name} {self.number + n}" for n in range(self.rng.randrange(1, 4))]
        self.number += len(values)
        topic = self.rng.choice((*TOPICS, PAST_THE_LEDGER))
        more = {"txtype": "unpinned"} if topic == PAST_THE_LEDGER else {}
        await node.whisper(*values, to=group, topic=topic, **more)
        self.sent[group] += values

    async def crash(self, node: Node) -> None:
        await node.crash(lose_unsynced=self.rng.random() < 0.7, loss=self.rng.choice(list(Loss)))

    async def ledger(self, node: Node) -> None:
        node.ledger_faults.away = not node.ledger_faults.away

    async def exchange(self, node: Node) -> None:
        node.exchange_faults.away = not node.exchange_faults.away

    async def cut(self, node: Node) -> None:
        other = self.rng.choice([each for each in NAMES if each != node.name])
        node.exchange_faults.cut ^= {f"{other}-{other}-node"}

    async def lose(self, node: Node) -> None:
        node.exchange_faults.lose_answers = self.rng.randrange(3)
        node.ledger_faults.lose_answers = self.rng.randrange(3)

    async def heal(self, node: Node) -> None:
        node.ledger_faults.away = node.exchange_faults.away = False
        node.exchange_faults.cut.clear()
        node.ledger_faults.lose_answers = node.exchange_faults.lose_answers = 0

    async def wait(self, node: Node) -> None:
        await trio.sleep(self.rng.random() * 20)


def lines(node: Node) -> dict[tuple[str, str], list[object]]:
    """What the node's app has heard on each topic of each group, in its order."""
    rows = node.rows("SELECT id, header ->> '$.group' FROM messages WHERE header ->> '$.type' = 'private'")
    group_of = dict(rows)
    found: dict[tuple[str, str], list[object]] = defaultdict(list)
    for event in node.apps["app"].heard(MESSAGE_CONFIRMED):
        group = group_of.get(bytes.fromhex(event.reference.replace("-", "")))
        if group is not None:
            found[group, event.topic].append(event.values[0])
    return found


async def heard_all(node: Node, count: int) -> None:
    """Until the node's app has heard so many private messages."""
    app = node.apps["app"]
    await app.wait_heard(lambda: len([e for e in app.heard(MESSAGE_CONFIRMED) if _is_said(e.values)]) >= count, "all")


def _is_said(values: Sequence[object]) -> bool:
    return bool(values) and isinstance(values[0], str)


@pytest.mark.seeds(4)
async def test_every_member_has_all_of_it_in_one_order(world: Cast, autojump_clock: object, seed: int) -> None:
    nodes = await world.nodes(*NAMES)
    chaos = Chaos(world, nodes, Random(seed))
    for _ in range(STEPS):
        await chaos.step()
    for node in nodes:
        await chaos.heal(node)
        if not node.running:
            await node.start()
    for node in nodes:
        wanted = sum(len(values) for group, values in chaos.sent.items() if node.name in group)
        await heard_all(node, wanted)
    heard = {node.name: lines(node) for node in nodes}
    for name, mine in heard.items():
        for line, values in mine.items():
            assert len(set(map(str, values))) == len(values), "nothing is told twice"
            for other, theirs in heard.items():
                same = theirs.get(line, values)
                if line[1] == PAST_THE_LEDGER:
                    assert set(map(str, same)) == set(map(str, values))
                else:
                    assert same == values, (name, other, line)
            for author in NAMES:
                own = [int(str(value).split()[1]) for value in values if str(value).startswith(author)]
                assert own == sorted(own), "an author's order is kept"
    await trio.sleep(120)
    for node in nodes:
        assert node.blocked() == []
        assert node.rows("SELECT * FROM owed") == []
        assert node.rows("SELECT DISTINCT status FROM operations") == [("Succeeded",)]
