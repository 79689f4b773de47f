"""Whatever comes first, all members decide alike: random ledgers of definitions and messages, random arrivals."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ffd.model.context import broadcast_context
from ffd.model.identity import CUSTOM, NODE, IdentityBase
from tests.inbound.definitions import Story, base, claim, claim_node, datatype, fates, say, update, verify
from tests.inbound.member import Member, key_of, open_member

ORGS = [base(name) for name in ("alice", "bob", "carol")]
CHILDREN = [base(f"child{n}", CUSTOM, ORGS[n % 3]) for n in range(4)]
GRANDCHILDREN = [base(f"grand{n}", CUSTOM, CHILDREN[n]) for n in range(2)]
MACHINES = [base(f"machine{n}", NODE, ORGS[n % 3]) for n in range(3)]
SCHEMAS: list[Any] = [{"type": "integer"}, {"minimum": 3}, {"type": "tea"}]
MEMBERS = 4
ROUNDS = 6


def some_ledger(rng: Random) -> list[Story]:
    """A network's life: all claim, verify, define and speak, some of them wrongly, in any order."""
    stories = [claim(each) for each in ORGS]
    for child in CHILDREN + GRANDCHILDREN:
        parent = next(each for each in ORGS + CHILDREN if each.id == child.parent)
        claimed = claim(child, key=key_of(child.name if rng.random() < 0.6 else "shared"))
        stories += [claimed, verify(claimed, child, parent)]
        if rng.random() < 0.3:
            stories.append(verify(claimed, child, rng.choice(ORGS), label=f"another word on {child.did}"))
    stories += [claim_node(each, _owner(each), profile=f'{{"id":"peer of {each.name}"}}') for each in MACHINES]
    stories.append(claim(base("thief"), key=key_of(rng.choice(["alice", "bob", "shared"]))))
    stories.append(claim(base("alice", id=base("elsewhere").id), label="a namesake", key=key_of("namesake")))
    for n in range(6):
        name, version = f"type{n % 2}", str(rng.randrange(3))
        definer = rng.choice(["alice", "bob"])
        stories.append(datatype(name, rng.choice(SCHEMAS), version=version, by=definer, label=f"definition {n}"))
    for n in range(25):
        ref = rng.choice(["", "", f"type{rng.randrange(2)}/{rng.randrange(3)}"])
        speaker = rng.choice(["alice", "bob", "carol", "nobody"])
        stories.append(say(f"word {n}", n % 6, by=speaker, topic=f"t{rng.randrange(4)}", datatype=ref))
    # An update before its claim would wait for the claim behind it, for ever and everywhere.
    updates = [update(rng.choice(ORGS), description=str(n), name=f"update {n}") for n in range(3)]
    return rng.sample(stories, len(stories)) + updates


def _owner(node: IdentityBase) -> IdentityBase:
    return next(each for each in ORGS if each.id == node.parent)


async def live(member: Member, ledger: Sequence[Story], rng: Random) -> None:
    """Let the ledger say it all in its order, and payloads come at any time after their pins."""
    pinned, coming = list(ledger), list[Story]()
    while pinned or coming:
        if pinned and (not coming or rng.random() < 0.5):
            story = pinned.pop(0)
            await member.see(story.parcel)
            coming.append(story)
        else:
            story = coming.pop(rng.randrange(len(coming)) if rng.random() < 0.7 else 0)
            await member.receive(story.parcel)
        if rng.random() < 0.4:
            await member.settle()
    await member.settle()


def picture(member: Member) -> dict[str, Any]:
    """All that members must agree in."""
    order: dict[str, list[tuple[str, str]]] = {}
    for event in member.told():
        order.setdefault(broadcast_context(event.topic).hex(), []).append((event.type, event.message))
    return {
        "order": order,
        "fates": fates(member),
        "waiting": sorted(member.rows("SELECT batch, hash, cause, subject FROM waiting_pins")),
        "identities": sorted(
            member.rows('SELECT id, did, parent, description, profile, claim, "update" FROM identities'), key=str
        ),
        "verifiers": sorted(member.rows("SELECT type, value, identity FROM verifiers")),
        "datatypes": sorted(member.rows("SELECT id, name, version, message FROM datatypes")),
        "told": sorted(member.rows("SELECT type, reference FROM events WHERE topic = 'ff_definition'")),
    }


@pytest.mark.parametrize("round", range(ROUNDS))
async def test_members_agree_in_all_that_was_decided(
    round: int, autojump_clock: object, seed: int, scratch: Path
) -> None:
    rng = Random(seed + round)
    ledger = some_ledger(rng)
    found: list[dict[str, Any]] = []
    for number in range(MEMBERS):
        pages = rng.choice([1, 3, 500])
        async with open_member(scratch / f"member {number}", seed, page_pins=pages) as member:
            await live(member, ledger, rng)
            found.append(picture(member))
    for other in found[1:]:
        for part, expected in found[0].items():
            assert other[part] == expected, part
    assert found[0]["identities"]
