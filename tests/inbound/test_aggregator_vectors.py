"""FireFly's scenarios of late and early arrivals, on the real store and aggregator.

What binds (see `about` in the family): the order in each context is the same for every schedule of the same content,
and for every size of a page.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ffd.api.filters import parse_filter
from ffd.inbound.arrivals import read_payload
from ffd.model.batch import BatchHead, batch_json, wrapper_json
from ffd.model.context import broadcast_context, private_context
from ffd.model.data import parse_data
from ffd.model.group import Member as GroupMember
from ffd.model.ids import parse_hash, parse_uuid
from ffd.store import groups, search
from ffd.store.collections import PINS
from ffd.store.groups import GroupRow
from ffd.store.pins import PinnedBatch
from tests.inbound.member import NETWORK, PAYLOAD_MAX, Member, Told, ledger_event, open_member
from tests.simulation.surroundings import EPOCH_NS

Json = dict[str, Any]
Step = Json
SCENARIOS: list[Json] = json.loads((Path(__file__).parent.parent / "vectors.json").read_text())["families"][
    "aggregator"
]["vectors"]
PAGE_SIZES = (1, 2, 7, 500)
SHUFFLES = 4


each_scenario = pytest.mark.parametrize(
    "given, expected", [pytest.param(each["input"], each["expected"], id=each["name"]) for each in SCENARIOS]
)


class Network:
    """What one scenario's ledger, storage and directory hold."""

    def __init__(self, member: Member, given: Json) -> None:
        self.member = member
        self.batches: dict[str, Json] = {batch["id"]: batch for batch in given["batches"]}
        self.pins: dict[int, Json] = {pin["sequence"]: pin for pin in given["pins"]}
        items = [parse_data(text) for batch in given["batches"] for text in batch["data"]]
        self.blobs = {item.id: parse_hash(item.blob.hash) for item in items if item.blob is not None}

    async def deliver(self, step: Step) -> None:
        """Let everything of a step arrive."""
        for events in self._ledger_events(step.get("pins", ())):
            await self.member.pin(events)
        for id in step.get("batches", ()):
            batch = self.batches[id]
            if batch["type"] == "private":
                await self.member.take(batch["node"], wrapper_json(document(batch, batch["data"])))
                continue
            content = payload(batch)
            assert content.refusal is None, str(content.refusal)
            assert await self.member.bring(parse_uuid(id), bytes.fromhex(batch["hash"]), content)
        for key, did in step.get("identities", {}).items():
            await self.member.know(key, did)
        for id in step.get("blobs", ()):
            await self.member.take_blob(self.blobs[id])

    def _ledger_events(self, sequences: Sequence[int]) -> Iterator[PinnedBatch]:
        """The pins of a batch are one event on the ledger; a position that comes again begins another one."""
        group: list[Json] = []
        for sequence in sequences:
            pin = self.pins[sequence]
            if group and (pin["batch"] != group[-1]["batch"] or pin["index"] != group[-1]["index"] + 1):
                yield self._ledger_event(group)
                group = []
            group.append(pin)
        if group:
            yield self._ledger_event(group)

    def _ledger_event(self, group: list[Json]) -> PinnedBatch:
        first = group[0]
        assert first["index"] == 0, "scenarios pin whole batches"
        return ledger_event(
            self.member.world,
            first["sequence"],
            signer=first["signer"],
            batch=parse_uuid(first["batch"]),
            batch_hash=bytes.fromhex(first["batch_hash"]),
            contexts=[bytes.fromhex(pin["hash"]) for pin in group],
            payload_ref="" if first["masked"] else "somewhere",
        )

    def undispatched(self) -> list[int]:
        """The scenario's numbers of the pins that wait. A pin that came before is none of them."""
        numbers: dict[tuple[bytes, int, bytes], int] = {}
        for sequence, pin in self.pins.items():
            numbers.setdefault((parse_uuid(pin["batch"]), pin["index"], bytes.fromhex(pin["hash"])), sequence)
        number, query = self.member.namespace.number, parse_filter("pins", "limit=0&sort=sequence")
        shown = self.member.store.peek(lambda tx: list(search.search(tx, PINS, number, query).rows))
        return [numbers[pin.batch, pin.index, pin.hash] for pin in shown if not pin.dispatched]

    def finished(self) -> dict[str, str]:
        """The messages that came to an end."""
        states = {"message_confirmed": "confirmed", "message_rejected": "rejected"}
        return {told.message: states[told.type] for told in self.member.told()}


def payload(batch: Json) -> Any:
    """The payload as it lies on shared storage, read and verified."""
    # The scenarios' blobs were never published; where one lies is in no hash.
    data = [text.replace('"name":""}', '"name":"","public":"somewhere"}') for text in batch["data"]]
    return read_payload(document(batch, data), NETWORK, PAYLOAD_MAX)


def document(batch: Json, data: Sequence[str]) -> bytes:
    """A batch as it travels."""
    head = BatchHead(
        batch["id"], batch["type"], NETWORK, batch["node"], batch.get("group"), EPOCH_NS, batch["author"],
        batch["key"], bytes.fromhex(batch["hash"]), "batch_pin", batch["tx"],
    )  # fmt: skip
    return batch_json(head, batch["messages"], data)


def order_per_context(told: Sequence[Told], groups: Mapping[str, bytes]) -> dict[str, list[str]]:
    """For each context, the messages in the order told; `groups` are those of the private ones."""
    found: dict[str, list[str]] = {}
    for event in told:
        group = groups.get(event.message)
        context = broadcast_context(event.topic) if group is None else private_context(event.topic, group)
        found.setdefault(context.hex(), []).append(event.message)
    return found


def groups_of(given: Json) -> dict[str, bytes]:
    """The group of each private message."""
    headers = [json.loads(text)["header"] for batch in given["batches"] for text in batch["messages"]]
    return {header["id"]: bytes.fromhex(header["group"]) for header in headers if "group" in header}


async def prepare(network: Network, given: Json) -> None:
    """What is known before the first step: identities, groups, and whose nodes send private batches."""
    member, number = network.member, network.member.namespace.number
    await network.deliver({"identities": given["identities"]})
    for batch in given["batches"]:
        if batch["type"] == "private":
            await member.appoint(batch["node"], batch["author"])
    for group in given["groups_known"]:
        members = tuple([GroupMember(**each) for each in group["members"]])
        row = GroupRow(bytes.fromhex(group["hash"]), group["name"], members, None, EPOCH_NS)
        await member.store.write(partial(groups.ensure, namespace=number, group=row))


def finished(states: dict[str, str]) -> dict[str, str]:
    """Of all states, those at an end."""
    return {id: state for id, state in states.items() if state in ("confirmed", "rejected")}


@dataclass(frozen=True)
class Outcome:
    """What a member told after each step and in all, by context; who came to an end; which pins wait."""

    after: list[dict[str, list[str]]]
    order: dict[str, list[str]]
    finished: dict[str, str]
    undispatched: list[int]


async def play(folder: Path, seed: int, given: Json, steps: Sequence[Step], page_pins: int) -> Outcome:
    """Let the steps happen at a new member."""
    async with open_member(folder, seed, page_pins=page_pins) as member:
        network, after, groups = Network(member, given), [], groups_of(given)
        await prepare(network, given)
        for step in steps:
            before = len(member.told())
            await network.deliver(step)
            await member.settle()
            after.append(order_per_context(member.told()[before:], groups))
        return Outcome(after, order_per_context(member.told(), groups), network.finished(), network.undispatched())


def schedules(given: Json, rng: Random) -> Iterator[list[Step]]:
    """Other ways in which the same content may come: pins in ledger order, all else at any time."""
    pins: list[Step] = [{"pins": step["pins"]} for step in given["steps"] if step.get("pins")]
    rest: list[Step] = [{"batches": [id]} for step in given["steps"] for id in step.get("batches", ())]
    rest += [{"identities": step["identities"]} for step in given["steps"] if step.get("identities")]
    rest += [{"blobs": step["blobs"]} for step in given["steps"] if step.get("blobs")]
    yield rest + pins
    yield pins + rest[::-1]
    for _ in range(SHUFFLES):
        order = rng.sample([False] * len(pins) + [True] * len(rest), len(pins) + len(rest))
        ledger, others = iter(pins), iter(rng.sample(rest, len(rest)))
        yield [next(others) if other else next(ledger) for other in order]


@pytest.mark.parametrize("page_pins", PAGE_SIZES)
@each_scenario
async def test_a_scenario_ends_as_the_rule_says(
    given: Json, expected: Json, page_pins: int, autojump_clock: object, seed: int, scratch: Path
) -> None:
    outcome = await play(scratch / "member", seed, given, given["steps"], page_pins)
    assert outcome.order == expected["order_per_context"]
    assert outcome.finished == finished(expected["message_states"])
    assert outcome.undispatched == expected["undispatched_sequences"]
    steps = [[Told(*event.values()) for event in step] for step in expected["events_after_step"]]
    assert outcome.after == [order_per_context(step, groups_of(given)) for step in steps]


@each_scenario
async def test_every_schedule_ends_alike(
    given: Json, expected: Json, autojump_clock: object, seed: int, scratch: Path
) -> None:
    rng = Random(seed)
    for number, steps in enumerate(schedules(given, rng)):
        outcome = await play(scratch / f"member {number}", seed, given, steps, rng.choice(PAGE_SIZES))
        assert outcome.order == expected["order_per_context"], steps
        assert outcome.finished == finished(expected["message_states"]), steps
        assert outcome.undispatched == expected["undispatched_sequences"], steps
