"""Real nodes of several organisations on one ledger and one shared storage, each a process of its own.

What they have to say to each other goes over wires that can be cut.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ffd.model.ids import format_uuid
from ffd.plugins.ledger.signing import pin_of
from tests.network.links import Links, free_port
from tests.processes.node import House, Node, Program, query, until

CONFIG = """
[org]
name = "{name}"
[node]
name = "node-{name}"
[ledgers.local.options]
path = "{shared}/ledger.db"
[storages.local.options]
path = "{storage}"
[exchanges.local]
plugin = "https"
[exchanges.local.options]
port = {port}
endpoint = "https://127.0.0.1:{door}"
"""


class Member:
    """An organisation with its one node. What it sees of the shared storage can be taken away from it."""

    def __init__(self, house: House, shared: Path, links: Links, name: str) -> None:
        self.name = name
        self._shared = shared
        self._storage = house.folder / f"storage-of-{name}"
        self.see()
        port = free_port()
        door = links.open_door(name, port)
        config = CONFIG.format(name=name, shared=shared, storage=self._storage, port=port, door=door)
        self.node = Node(house, name, config=config)
        self.lives: list[Program] = []

    @property
    def did(self) -> str:
        return f"did:firefly:org/{self.name}"

    @property
    def daemon(self) -> Program:
        return self.lives[-1]

    def launch(self) -> None:
        """Begin a life; it is not ready yet."""
        self.lives.append(self.node.launch())

    def start(self) -> None:
        self.launch()
        self.node.wait_ready(self.daemon)

    def register(self) -> None:
        """Claim the organisation and the node, and wait until the member itself has confirmed both."""
        for kind in ("organizations", "nodes"):
            answer = self.node.post(f"/api/v1/network/{kind}/self?confirm=true", b"{}")
            assert answer.status == 200, answer

    def knows(self) -> set[str]:
        """The organisations whose nodes this one knows; none while it does not answer."""
        try:
            return {node["name"].removeprefix("node-") for node in self.find("network/nodes")}
        except OSError:
            return set()

    def find(self, target: str) -> list[dict[str, Any]]:
        """A list of the default namespace."""
        status, found = self.node.get(f"/api/v1/{target}")
        assert status == 200, found
        return list(found)

    def send(self, route: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message that must be taken, and give what was answered."""
        answer = self.node.post(f"/api/v1/messages/{route}", json.dumps(message).encode())
        assert answer.status in (200, 202), answer
        return dict(json.loads(answer.body))

    # The shared storage

    def see(self) -> None:
        """It has the shared storage."""
        self._point_at(self._shared / "storage")

    def see_nothing(self) -> None:
        """It has a file in the place of the shared storage: nothing can be read there, nor written."""
        self._point_at(self._shared / "no-folder")

    def _point_at(self, target: Path) -> None:
        new = self._storage.with_suffix(".new")
        with suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(target)
        os.replace(new, self._storage)


class Network:
    """Members that share a ledger and a storage."""

    def __init__(self, house: House, *names: str) -> None:
        self._house = house
        self.shared = house.folder / "shared"
        (self.shared / "storage").mkdir(parents=True)
        (self.shared / "no-folder").touch()
        self.ledger = self.shared / "ledger.db"
        self.members: dict[str, Member] = {}
        self.links = Links(self._pids)
        for name in names:
            self.add(name)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    def add(self, name: str) -> Member:
        """One more, which has nothing and is not started."""
        self.members[name] = Member(self._house, self.shared, self.links, name)
        return self.members[name]

    def _pids(self) -> dict[str, int]:
        return {name: member.daemon.pid for name, member in self.members.items() if member.lives}

    def start(self) -> None:
        """All run, are registered, and know each other when this returns."""
        for member in self.members.values():
            member.launch()
        for member in self.members.values():
            member.node.wait_ready(member.daemon)
            member.register()
        until("everybody is known to everybody", self.all_known)

    def all_known(self) -> bool:
        """Does every member know every other one?"""
        return all(member.knows() == set(self.members) for member in self.members.values())

    def stop(self) -> None:
        """Everybody ends as after SIGTERM."""
        for member in self.members.values():
            member.node.stop(member.daemon)

    def pinned(self) -> dict[str, int]:
        """The place of each batch on the ledger, as the ledger's file has it."""
        places: dict[str, int] = {}
        for height, body in query(self.ledger, "SELECT height, body FROM entries ORDER BY height"):
            pin = pin_of(body)
            assert pin is not None, body
            places.setdefault(format_uuid(pin.batch), height)
        return places
