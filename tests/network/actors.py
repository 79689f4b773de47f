"""Who acts in a campaign: apps that send until they know what became of it, readers that are begun again and again,
and what goes wrong with the members.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence

import apsw

from tests.network.history import Sent
from tests.network.members import Member, Network
from tests.network.plan import GROUPS, Kind, Letter, Trouble
from tests.processes.history import Outcome
from tests.processes.node import Program

TAG = "campaign"
READAHEAD = 50
AGAIN_S = 0.1
TAKEN = re.compile(r"already used for message '([0-9a-f-]{36})'")
KILLED = -signal.SIGKILL
CUT_OFF, TIMED_OUT = 5, 7


class Sender(threading.Thread):
    """An app of one member: sends letter after letter, each again under its key until its fate is known."""

    def __init__(self, member: Member, letters: Sequence[Letter]) -> None:
        super().__init__(daemon=True)
        self.attempts: list[Sent] = []
        self.answered = 0
        self.failure: Exception | None = None
        self._member = member
        self._letters = letters
        self._hashes: dict[str, str] = {}

    def run(self) -> None:
        try:
            for letter in self._letters:
                while not self._try(letter):
                    time.sleep(AGAIN_S)
                self.answered += 1
        except Exception as failure:  # noqa: BLE001 - the thread ends here, and the story looks at it
            self.failure = failure

    def _try(self, letter: Letter) -> bool:
        """Is its fate known?"""
        try:
            answer = self._member.node.post(*request(letter, self._hashes))
        except OSError:
            return self._note(letter, Outcome.UNKNOWN)
        if answer.status == 202:
            header = json.loads(answer.body)["header"]
            self._hashes[letter.group] = header.get("group", "")
            return self._note(letter, Outcome.ACCEPTED, header["id"])
        if taken := TAKEN.search(answer.body.decode()):
            return self._note(letter, Outcome.ACCEPTED, taken[1])
        assert answer.status >= 500 or answer.status == 429, answer
        return self._note(letter, Outcome.UNKNOWN if answer.status >= 500 else Outcome.REFUSED)

    def _note(self, letter: Letter, outcome: Outcome, id: str = "") -> bool:
        self.attempts.append(Sent(letter.value, self._member.did, letter.lines, outcome, id))
        return outcome is Outcome.ACCEPTED


def request(letter: Letter, hashes: Mapping[str, str]) -> tuple[str, bytes]:
    """Where a letter is posted, and its body; `hashes` are those of the groups that are known by now."""
    header: dict[str, object] = {"topics": letter.topics, "tag": TAG}
    body: dict[str, object] = {"header": header, "data": [{"value": letter.text}], "idempotencyKey": letter.text}
    if not letter.group:
        return "/api/v1/messages/broadcast", json.dumps(body).encode()
    if not letter.pinned:
        header["txtype"] = "unpinned"
    if letter.by_hash and letter.group in hashes:
        header["group"] = hashes[letter.group]
    else:
        members = [{"identity": name} for name in GROUPS[letter.group]]
        body["group"] = {"name": letter.group, "members": members}
    return "/api/v1/messages/private", json.dumps(body).encode()


class Reader:
    """A durable consumer of one member, begun again whenever it ends."""

    def __init__(self, member: Member) -> None:
        self.lives: list[Program] = []
        self._member = member
        self._not_before = 0.0

    def keep(self) -> None:
        """Begin it, or begin it again."""
        if self.lives and self.lives[-1].code is None:
            return
        if self.lives:
            code, said = self.lives[-1].code, self.lives[-1].errors()
            assert code in (KILLED, CUT_OFF, TIMED_OUT), f"the reader of {self._member.name} ended with {code}: {said}"
        now = time.monotonic()
        if now >= self._not_before:
            self._not_before = now + 0.5
            self.lives.append(self._begin())

    def reached(self) -> int:
        """The sequence of the last event that it heard."""
        for life in reversed(self.lives):
            if lines := life.lines():
                return int(json.loads(lines[-1])["sequence"])
        return 0

    def _begin(self) -> Program:
        only = ("--tag", TAG, "--type", "message_confirmed", "--from", "oldest", "--readahead", str(READAHEAD))
        return self._member.node.begin("tail", TAG, "--create", *only, "-o", "ndjson")


class Nemesis:
    """Lets troubles begin and end; at one member there is one at a time, and another one waits for that."""

    def __init__(self, network: Network, readers: dict[str, Reader], troubles: Sequence[Trouble]) -> None:
        self._network = network
        self._readers = readers
        self._coming = list(troubles)
        self._now: list[tuple[float, Trouble]] = []
        self._holder: apsw.Connection | None = None

    @property
    def over(self) -> bool:
        """Is all well again for good?"""
        return not self._coming and not self._now

    @property
    def down(self) -> set[str]:
        """The members whose daemons do not run."""
        return {trouble.who for _, trouble in self._now if trouble.kind in (Kind.KILL, Kind.STOP)}

    def keep(self, progress: float) -> None:
        """End what has lasted long enough, and begin what is due."""
        now = time.monotonic()
        self._now = [(end, trouble) for end, trouble in self._now if now < end or not self._end(trouble)]
        for trouble in [each for each in self._coming if each.at <= progress]:
            if not any(trouble.who == other.who or trouble.kind is other.kind is Kind.HELD for _, other in self._now):
                self._coming.remove(trouble)
                self._begin(trouble)
                self._now.append((now + trouble.for_s, trouble))

    def _begin(self, trouble: Trouble) -> None:
        member = self._network[trouble.who]
        match trouble.kind:
            case Kind.KILL:
                member.daemon.kill()
            case Kind.STOP:
                member.daemon.signal(signal.SIGTERM)
            case Kind.FREEZE:
                member.daemon.signal(signal.SIGSTOP)
            case Kind.DARK:
                member.see_nothing()
            case Kind.HELD:
                self._holder = apsw.Connection(str(self._network.ledger))
                self._holder.set_busy_timeout(10_000)
                self._holder.execute("BEGIN IMMEDIATE")
            case Kind.READER:
                self._readers[trouble.who].lives[-1].kill()
            case Kind.CUT:
                self._network.links.wire(trouble.who, trouble.other).cut()
            case Kind.SILENT:
                self._network.links.wire(trouble.who, trouble.other).fall_silent()

    def _end(self, trouble: Trouble) -> bool:
        """Make it well again; False when that has to wait."""
        member = self._network[trouble.who]
        match trouble.kind:
            case Kind.KILL:
                member.launch()
            case Kind.STOP:
                code, said = member.daemon.code, member.daemon.errors()
                if code is None:
                    return False
                # One that had not begun to say anything was only starting, and no handler was there yet.
                assert code == 0 or (code == -signal.SIGTERM and not said), f"{code}: {said}"
                member.launch()
            case Kind.FREEZE:
                member.daemon.signal(signal.SIGCONT)
            case Kind.DARK:
                member.see()
            case Kind.HELD:
                assert self._holder is not None
                self._holder.close()
            case Kind.READER:
                pass
            case Kind.CUT | Kind.SILENT:
                self._network.links.wire(trouble.who, trouble.other).mend()
        return True
