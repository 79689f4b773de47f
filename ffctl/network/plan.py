"""A network's folder: who its members are and where each keeps what. Everything else is in the files it names.

DIR/network.json          what this module reads
DIR/shared/               the ledger and the storage that all members use
DIR/MEMBER/ffd.toml       its configuration; state/, tls/, ffd.sock, ffd.log and ffd.service are beside it
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ffctl.failure import BLOCKED, CONFLICT, NOT_FOUND, USAGE, Failure, usage

PLAN = "network.json"
VERSION = 1
MEMBERS_MAX = 50
SOCKET_BYTES_MAX = 107
"""What the address of a Unix socket holds on Linux."""
NAME_MAX = 64
NAME = re.compile(r"[0-9a-zA-Z](?:[0-9a-zA-Z._-]{0,62}[0-9a-zA-Z])?")
"""FireFly's rule for the names of organisations and nodes."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member: an organisation with one node, both of its name; its files and its place among the ports."""

    name: str
    folder: Path
    network: str
    exchange_port: int
    http_port: int | None = None

    @property
    def config(self) -> Path:
        """What its ffd is told."""
        return self.folder / "ffd.toml"

    @property
    def state(self) -> Path:
        """Where its ffd keeps what it must not forget."""
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        """Where its ffd listens for ffctl and its apps."""
        return self.folder / "ffd.sock"

    @property
    def log(self) -> Path:
        """What its ffd says."""
        return self.folder / "ffd.log"

    @property
    def pid_file(self) -> Path:
        """Which process it was started as."""
        return self.folder / "ffd.pid"

    @property
    def unit(self) -> str:
        """What a user's service manager calls it."""
        return f"ffd-{self.network}-{self.name}.service"

    @property
    def unit_file(self) -> Path:
        """What a user's service manager is told."""
        return self.folder / self.unit


@dataclass(frozen=True, slots=True)
class Network:
    """The members of a folder."""

    name: str
    folder: Path
    members: tuple[Member, ...]

    @property
    def shared(self) -> Path:
        """What belongs to all members."""
        return self.folder / "shared"

    def some(self, names: Sequence[str] | None) -> tuple[Member, ...]:
        """The members of these names, in the network's order; all when none is named. `Failure` 3 for a stranger."""
        known = {member.name for member in self.members}
        for name in names or ():
            if name not in known:
                hint = f"its members are {', '.join(sorted(known))}"
                raise Failure(NOT_FOUND, "FFD6016", f"network {self.name!r} has no member {name!r}", hint)
        return tuple(member for member in self.members if not names or member.name in names)

    def text(self) -> str:
        """What stands in its file."""
        members = [
            {"name": member.name, "exchangePort": member.exchange_port}
            | ({} if member.http_port is None else {"httpPort": member.http_port})
            for member in self.members
        ]
        plan = {"version": VERSION, "name": self.name, "folder": str(self.folder), "members": members}
        return json.dumps(plan, ensure_ascii=False, indent=2) + "\n"


def planned(folder: Path, name: str | None, members: Sequence[str], first_port: int, *, http: bool = False) -> Network:
    """A network that is to be made in `folder`; `Failure` 2 when a name or the length of a path will not do."""
    folder = Path(os.path.abspath(folder))
    network = name or re.sub(r"[^0-9a-zA-Z._-]", "-", folder.name)[:NAME_MAX].strip("._-") or "ffd"
    for each in (network, *members):
        if not NAME.fullmatch(each):
            raise usage(f"{each!r} is no name", "up to 64 letters, digits, dots, dashes and underscores")
    if len(set(members)) < len(members):
        raise usage("two members have the same name", "give each one of its own")
    if not 1 <= len(members) <= MEMBERS_MAX:
        raise usage(f"a network has 1 to {MEMBERS_MAX} members, not {len(members)}")
    if "shared" in members:
        raise usage("no member can be called 'shared': that folder is everybody's", "give it another name")
    ports = [(first_port + at, first_port + len(members) + at if http else None) for at in range(len(members))]
    made = [Member(each, folder / each, network, *pair) for each, pair in zip(members, ports, strict=True)]
    for member in made:
        if len(os.fsencode(member.socket)) > SOCKET_BYTES_MAX:
            text = f"the path of a socket would be longer than {SOCKET_BYTES_MAX} bytes: {member.socket}"
            raise Failure(USAGE, "FFD6017", text, "choose a folder with a shorter path")
    return Network(network, folder, tuple(made))


def read(folder: Path) -> Network:
    """The network that was made in a folder; `Failure` 3 when there is none."""
    file = folder / PLAN
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        members = [(str(row["name"]), int(row["exchangePort"]), row.get("httpPort")) for row in found["members"]]
        name, made_in = str(found["name"]), Path(found["folder"])
    except FileNotFoundError:
        hint = f"make one: ffctl network init --members 3 {folder}"
        raise Failure(NOT_FOUND, "FFD6016", f"there is no network in {folder}", hint) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(
            USAGE, "FFD6017", f"{file} cannot be read: {error}", "restore it, or make another network"
        ) from None
    if os.path.realpath(folder) != os.path.realpath(made_in):
        hint = f"move it back to {made_in}: its configurations say so"
        raise Failure(USAGE, "FFD6017", f"the network in {folder} was made elsewhere", hint)
    return Network(name, made_in, tuple(Member(each, made_in / each, name, port, http) for each, port, http in members))


@contextmanager
def alone(network: Network) -> Iterator[None]:
    """Nobody else starts or stops members meanwhile; `Failure` 7 when somebody is at it."""
    descriptor = os.open(network.folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another ffctl starts or stops members of {network.folder}"
            raise Failure(BLOCKED, "FFD6018", text, "wait until it is done") from None
        yield
    finally:
        os.close(descriptor)


def taken(folder: Path) -> Failure:
    """Something is in the folder where a network is to be made."""
    return Failure(CONFLICT, "FFD6015", f"{folder} is there already, and not empty", "choose another folder")
