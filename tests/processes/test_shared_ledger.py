"""One ledger file under many processes: those of ffd, and others, which have no business there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from ffd.plugins.ledger.signing import whole_part
from tests.plugins.ledgers import FileLedgers, everything, key_of, pin
from tests.processes.node import ROOT, House, Node, Program, until

APPENDERS, EACH = 6, 40
HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(2)
"""
SHARED = """
[org]
name = "{name}"
[node]
name = "{name}-node"
[namespaces.default]
register = true
[ledgers.local]
options = {{ path = "{shared}/ledger.db" }}
[storages.local]
options = {{ path = "{shared}/storage" }}
"""


def begin(house: House, ledger: Path, name: str) -> Program:
    home = house.folder / name
    home.mkdir(exist_ok=True)
    command = (sys.executable, "-m", "tests.processes.appender", str(ledger), str(home), str(EACH))
    return house.start(*command, env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)})


def foreign(file: Path, statement: str) -> None:
    """What another program with its own SQLite does to a file."""
    script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=30); c.execute(sys.argv[2]); c.commit()"
    subprocess.run([sys.executable, "-c", script, str(file), statement], check=True, timeout=60)


async def test_many_processes_append_at_once_and_are_killed_and_nothing_is_lost_or_there_twice(
    house: House, seed: int
) -> None:
    """Each that was killed begins anew with the same requests, as a node does with what it has sealed."""
    rng = random.Random(seed)
    ledger = house.folder / "ledger.db"
    running = {f"node {number}": begin(house, ledger, f"node {number}") for number in range(APPENDERS)}
    said: dict[str, set[str]] = {name: set() for name in running}
    kills = 0
    while any(each.code is None for each in running.values()):
        name = rng.choice([name for name, each in running.items() if each.code is None] or [""])
        await trio.sleep(rng.uniform(0, 0.1))
        if name and kills < 3 * APPENDERS and running[name].count() and running[name].code is None:
            running[name].kill()
            said[name] |= set(running[name].lines())
            running[name] = begin(house, ledger, name)
            kills += 1
    for name, program in running.items():
        done = program.wait()
        assert done.code == 0, done.err
        said[name] |= set(done.lines)
    async with AsyncExitStack() as stack:
        shared = FileLedgers(house.folder, stack)
        entries = shared.entries
        assert whole_part(entries, None) == entries and len(entries) == APPENDERS * EACH
        one, other = await shared.node("one"), await shared.node("other")
        order = await everything(one)
        assert order == await everything(other, limit=7)
    hashes = [event.transaction for event in order]
    for name in running:
        mine = [event for event in order if event.signer == key_of(name).public_key().public_bytes_raw().hex()]
        batches = [event.pin.batch for event in mine if event.pin]
        assert batches == [pin(f"{name} {number}").batch for number in range(EACH)], "its own order is kept"
        assert {line.split()[1] for line in said[name]} <= set(hashes), "what was answered is there"
    assert kills >= APPENDERS


def members(house: House) -> list[Node]:
    shared = house.folder / "shared"
    shared.mkdir()
    return [Node(house, name, config=SHARED.format(name=name, shared=shared)) for name in ("alice", "bob")]


def known(node: Node) -> bool:
    return len([each for each in node.get("/api/v1/network/nodes")[1] if each["messages"]["claim"]]) == 2


def said_of(node: Node) -> str:
    status, answer = node.get("/readyz")
    return "; ".join(answer["reasons"]) if status == 503 else ""


@pytest.fixture
def talking(house: House) -> list[Node]:
    """Two members who have sent something on one ledger, and whose daemons run."""
    nodes = members(house)
    for node in nodes:
        node.start()
    for node in nodes:
        until("they know each other", lambda node=node: known(node))  # type: ignore[misc]
        node.broadcast("t", f"{node.folder.name} was here")
    for node in nodes:
        until("all is heard", lambda node=node: len(node.confirmed("t")) == 2)  # type: ignore[misc]
    return nodes


def test_an_entry_that_another_program_altered_is_named_by_every_node_that_reads_it(
    house: House, talking: list[Node]
) -> None:
    alice, bob = talking
    ledger = house.folder / "shared" / "ledger.db"
    assert alice.confirmed("t") == bob.confirmed("t")
    foreign(ledger, "UPDATE entries SET body = replace(body, 'batch_pin', 'batch_pan') WHERE height = 1")
    late = Node(house, "carl", config=SHARED.format(name="carl", shared=ledger.parent))
    late.launch()
    until(
        "carl names it",
        lambda: answers(late) and "ledger entry 1 was altered: its text or its signature" in said_of(late),
    )
    assert alice.is_ready() and bob.is_ready(), "they have read it as it was"

    foreign(ledger, "UPDATE entries SET timestamp = 7 WHERE height = (SELECT max(height) FROM entries)")
    height = alice.facts()["ledger"]["height"]
    alice.run("broadcast", "-t", "t", "held back")
    wrong = f"ledger entry {height - 1} was altered: its time or its hash"
    until("nothing is built on it", lambda: wrong in said_of(alice))
    assert alice.facts()["ledger"]["height"] == height
    assert "role sequencer:default:broadcast" in said_of(alice)


def answers(node: Node) -> bool:
    try:
        return node.get("/livez")[0] == 200
    except OSError:
        return False


def test_who_finds_the_ledger_held_by_another_program_waits_for_it(house: House, talking: list[Node]) -> None:
    alice, bob = talking
    ledger = house.folder / "shared" / "ledger.db"
    holder = house.start(sys.executable, "-c", HOLDER, str(ledger), env={"PATH": os.environ["PATH"]})
    until("it is held", lambda: holder.lines() == ["held"])
    assert alice.ffctl("broadcast", "-t", "t", "patient").code == 0, "what is accepted needs no ledger"
    until("bob has it", lambda: bob.confirmed("t")[-1] == "patient")
    assert alice.confirmed("t") == bob.confirmed("t")
