"""The main job as a user does it, while everything that can be killed is killed: nothing accepted is lost or moved.

`FFD_TESTS_LONG=1` does it with five times as many messages.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.processes.history import Reader
from tests.processes.node import Node, Program, until
from tests.processes.witnesses import attempts, check, heard, history_of

log = logging.getLogger(__name__)

COUNT = 100_000 if os.environ.get("FFD_TESTS_LONG") else 20_000
READAHEAD = 200
DAEMON, CONSUMER = "daemon", "consumer"
KILLS = [DAEMON] * 10 + [CONSUMER] * 5
KILLED = -signal.SIGKILL
CUT_OFF = 5  # ffctl's exit code when the daemon went away
STORY_S = 900 if COUNT > 20_000 else 240


class Worker:
    """A user's script: runs a command until it has ended well, as often as it takes."""

    def __init__(self, begin: Callable[[], Program]) -> None:
        self._begin = begin
        self.lives = [begin()]

    @property
    def now(self) -> Program:
        return self.lives[-1]

    def keep(self) -> bool:
        """Begin again if it was killed or cut off; says whether it has ended well."""
        code = self.now.code
        if code not in (None, 0):
            assert code in (CUT_OFF, KILLED), self.now.errors()
            self.lives.append(self._begin())
        return code == 0


class Story:
    """A sender, a consumer and the daemon between them, each begun again whenever it is gone."""

    def __init__(self, node: Node, lines: Path) -> None:
        send = ("broadcast", "--lines", "-t", "n", "--idempotency-key", "s", "-o", "ndjson")
        self.node = node
        self.daemon = node.start()
        node.run("sub", "create", "worker", "-t", "n", "--from", "oldest", "--readahead", str(READAHEAD))
        self.sender = Worker(lambda: node.begin(*send, stdin=lines))
        self.consumer = Worker(lambda: node.begin("tail", "worker", "-o", "ndjson"))

    def progress(self) -> float:
        """From 0 to 1: half of it is what was answered to the sender, half what the consumer heard."""
        answered = max(life.count() for life in self.sender.lives)
        return (answered + sum(life.count() for life in self.consumer.lives)) / 2 / COUNT

    def kill(self, victim: str) -> None:
        if victim == CONSUMER:
            self.consumer.now.kill()
        else:
            self.daemon.kill()
            self.daemon = self.node.start()

    def done(self) -> bool:
        sent = self.sender.keep()
        self.consumer.keep()
        return sent and self.heard_last()

    def heard_last(self) -> bool:
        """The last line is the last event of its topic, so whoever heard it was given all before it."""
        return f'"value":"s:{COUNT}"' in _end_of(self.consumer.now.out)


def test_nothing_is_lost_doubled_or_moved_while_all_are_killed_again_and_again(
    node: Node, seed: int, tmp_path: Path
) -> None:
    lines = tmp_path / "lines"
    lines.write_text("".join(f"s:{number}\n" for number in range(1, COUNT + 1)))
    random = Random(seed)
    victims = random.sample(KILLS, len(KILLS))
    moments = sorted(random.uniform(0.02, 0.9) for _ in KILLS)
    story = Story(node, lines)
    for moment, victim in zip(moments, victims, strict=True):
        until(f"progress of {moment:.0%}", lambda: story.done() or story.progress() >= moment, STORY_S)  # noqa: B023
        story.kill(victim)
    until("all was sent and heard", story.done, STORY_S)
    story.consumer.now.signal(signal.SIGINT)
    assert story.consumer.now.wait().code == 130
    node.stop(story.daemon)

    reader = Reader("worker", heard(story.consumer.lives), READAHEAD + 1)
    history = history_of(node, attempts("s", COUNT, story.sender.lives), [reader])
    assert check(history) == []
    assert [row.value[1] for row in history.table] == list(range(1, COUNT + 1))
    assert len(story.consumer.lives) > KILLS.count(CONSUMER) and len(story.sender.lives) > 1
    lives = len(story.sender.lives), len(story.consumer.lives)
    log.info("lives of sender and consumer: %s, heard again: %d", lives, sum(map(len, reader.lives)) - COUNT)


SENDERS, EACH = 8, 500


def test_eight_senders_at_once_each_keep_their_order(node: Node, tmp_path: Path) -> None:
    daemon = node.start()
    node.run("sub", "create", "worker", "--from", "oldest")
    names = [f"sender-{number}" for number in range(SENDERS)]
    senders = []
    for name in names:
        lines = tmp_path / name
        lines.write_text("".join(f"{name}:{number}\n" for number in range(1, EACH + 1)))
        words = ("broadcast", "--lines", "-t", "together", "--idempotency-key", name, "-o", "ndjson")
        senders.append(node.begin(*words, stdin=lines))
    consumer = node.begin("tail", "worker", "--count", str(SENDERS * EACH), "-o", "ndjson")
    assert [sender.wait().code for sender in senders] == [0] * SENDERS
    assert consumer.wait().code == 0
    node.stop(daemon)

    sent = [each for name, sender in zip(names, senders, strict=True) for each in attempts(name, EACH, [sender])]
    history = history_of(node, sent, [Reader("worker", heard([consumer]), READAHEAD + 1)])
    assert check(history) == []
    changes = sum(a.value[0] != b.value[0] for a, b in zip(history.table, history.table[1:], strict=False))
    assert changes >= SENDERS, "they were to send at once"


CONFIG = """
[namespaces.default]
[namespaces.lab]
network_name = "laboratory"
description = "where things are tried"
"""


def test_two_namespaces_of_a_node_keep_their_messages_apart_in_one_sequence(node: Node) -> None:
    node.config.write_text(CONFIG)
    daemon = node.start()
    for number in range(2):
        node.run("broadcast", "-t", "same", f"open {number}", "--confirm")
        node.run("--namespace", "lab", "broadcast", "-t", "same", f"secret {number}", "--confirm")
    tail = ("tail", "--from", "oldest", "--count", "2", "-t", "same", "--format", "{value}")
    assert node.run(*tail).splitlines() == [f"open {number}" for number in range(2)]
    assert node.run("--namespace", "lab", *tail).splitlines() == [f"secret {number}" for number in range(2)]
    node.run("--namespace", "lab", "sub", "create", "worker")
    assert node.run("sub", "list") == ""
    assert node.run("--namespace", "lab", "status", "--format", "{namespace.networkName}") == "laboratory\n"
    assert node.ffctl("--namespace", "other", "broadcast", "x").code == 3
    node.run("broadcast", "--idempotency-key", "k", "x")
    node.run("--namespace", "lab", "broadcast", "--idempotency-key", "k", "x")
    node.wait_settled()
    node.stop(daemon)
    sequences = [sequence for (sequence,) in node.rows("SELECT sequence FROM events ORDER BY sequence")]
    assert sequences == list(range(1, len(sequences) + 1))


def _end_of(path: Path, size: int = 4096) -> str:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")


def test_a_subscription_may_span_the_namespaces_of_a_node_in_their_one_order(node: Node) -> None:
    node.config.write_text(CONFIG)
    daemon = node.start()
    everywhere = ("--namespace", "*")
    node.run(*everywhere, "sub", "create", "all", "--from", "oldest", "--topic", "same")
    names = ["default", "lab", "lab", "default"]
    for number, name in enumerate(names):
        node.run("--namespace", name, "broadcast", "-t", "same", str(number), "--confirm")
    take = ("tail", "all", "--format", "{namespace} {value}", "--count")
    said = [f"{name} {number}" for number, name in enumerate(names)]
    assert node.run(*everywhere, *take, "3").splitlines() == said[:3]
    node.stop(daemon)
    daemon = node.start()
    assert node.run(*everywhere, *take, "1").splitlines() == said[3:], "it goes on where it stopped"
    last = ("tail", "-n", "2", "--count", "2", "-t", "same", "--format", "{namespace} {value}")
    assert node.run(*everywhere, *last).splitlines() == said[2:]
    listed = node.run(*everywhere, "event", "list", "-n", "1000", "--format", "{sequence}").splitlines()
    assert listed == [str(number) for number in range(1, len(listed) + 1)], "every event of the node, once"
    shown = [line.split("\t")[2] for line in node.run(*everywhere, "event", "list", "-t", "same").splitlines()]
    assert shown == names
    assert node.run(*everywhere, "sub", "list", "--format", "{name}") == "all\n"
    assert node.run("sub", "list") == node.run("--namespace", "lab", "sub", "list") == ""
    refused = node.ffctl(*everywhere, "broadcast", "x")
    assert refused.code != 0 and "name one" in refused.err
    node.run(*everywhere, "sub", "delete", "all")
    assert node.run(*everywhere, "sub", "list") == ""
    node.stop(daemon)
