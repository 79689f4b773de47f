"""A campaign: everybody sends, everything goes wrong, one joins late, and at the end all is well again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tests.network.actors import Nemesis, Reader, Sender
from tests.network.history import NetworkHistory
from tests.network.members import Network
from tests.network.plan import GROUPS, JOINER, NAMES, Letter, Plan
from tests.network.witnesses import due, history_of, newest, number_confirmed, waiting
from tests.processes.node import House

log = logging.getLogger(__name__)

JOINS_AT = 0.6
LOOK_S = 0.02
SENDING_S, SETTLING_S = 600.0, 120.0


class Campaign:
    """One plan on one network."""

    def __init__(self, house: House, plan: Plan) -> None:
        self.plan = plan
        self.groups = {group: frozenset(names) for group, names in GROUPS.items()}
        self.network = Network(house, *NAMES)
        self.network.start()
        self.readers = {name: Reader(self.network[name]) for name in NAMES}
        self.senders = self._senders(plan.mail)
        self.nemesis = Nemesis(self.network, self.readers, plan.troubles)
        self._joining: threading.Thread | None = None
        self._began = time.monotonic()

    def run(self) -> NetworkHistory:
        """Live through it; what everybody saw, once it is quiet or there was time enough for that."""
        for reader in self.readers.values():
            reader.keep()
        self._send(self.senders)
        self._say("all is sent and well again")
        late = self._senders(self.plan.late_mail)
        self.senders += late
        self._send(late)
        self._say("the late mail is sent")
        if not self._wait(self._settled, SETTLING_S):
            log.warning("not all is confirmed: %s", self._troubled())
        self._say("all is confirmed")
        if not self._wait(self._heard, SETTLING_S):
            log.warning("not every reader heard all")
        self._say("all is heard")
        return history_of(self.network, self.senders, self.readers, self.groups)

    def _senders(self, mail: Mapping[str, Sequence[Letter]]) -> list[Sender]:
        return [Sender(self.network[name.rpartition("-")[0]], letters) for name, letters in mail.items()]

    def _send(self, senders: Sequence[Sender]) -> None:
        for sender in senders:
            sender.start()
        assert self._wait(lambda: self._sent(senders), SENDING_S), f"not all was sent: {self._troubled()}"

    def _wait(self, done: Callable[[], bool], patience_s: float) -> bool:
        """Keep everything going until it is done; False when it takes too long."""
        end = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > end:
                return False
            self._keep()
            time.sleep(LOOK_S)
        return True

    def _keep(self) -> None:
        progress = sum(sender.answered for sender in self.senders) / sum(map(len, self.plan.mail.values()))
        self.nemesis.keep(progress)
        for reader in self.readers.values():
            reader.keep()
        for sender in self.senders:
            if sender.failure is not None:
                raise AssertionError("a sender gave up") from sender.failure
        for name, member in self.network.members.items():
            assert member.daemon.code is None or name in self.nemesis.down, member.daemon.errors()
        if progress >= JOINS_AT and self._joining is None:
            self._join()

    def _join(self) -> None:
        """One comes who has nothing."""
        self._say(f"{JOINER} joins")
        member = self.network.add(JOINER)
        member.launch()
        self.readers[JOINER] = Reader(member)

        def introduce() -> None:
            member.node.wait_ready(member.daemon)
            member.register()

        self._joining = threading.Thread(target=introduce, daemon=True)
        self._joining.start()

    def _sent(self, senders: Sequence[Sender]) -> bool:
        """Is it sent, all well again, and everybody known to all?"""
        if any(sender.is_alive() for sender in senders) or not self.nemesis.over:
            return False
        return JOINER in self.network.members and self.network.all_known()

    def _settled(self) -> bool:
        return all(
            number_confirmed(member.node) >= due(self.senders, name, self.groups)
            for name, member in self.network.members.items()
        )

    def _heard(self) -> bool:
        return all(self.readers[name].reached() >= newest(member.node) for name, member in self.network.members.items())

    def _troubled(self) -> str:
        return "; ".join(f"{name}: {waiting(member.node)}" for name, member in self.network.members.items())

    def _say(self, what: str) -> None:
        log.info("%5.1f s: %s", time.monotonic() - self._began, what)
