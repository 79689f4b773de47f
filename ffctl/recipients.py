"""To whom a private message goes: `--to` and `--group` as FireFly's `group` and `header.group`."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ffctl.failure import NOT_FOUND, Failure, usage
from ffctl.plain import decode

if TYPE_CHECKING:
    from ffctl.client import Client

LOOKED_THROUGH = 1000
"""So many groups, the newest, are looked through for a name."""
HASH = re.compile(r"(?:0x)?[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class Recipients:
    """A group by its hash, or by its members: an identity each, and its node if that was said. Neither: everybody."""

    group: str | None = None
    name: str | None = None
    members: tuple[tuple[str, str | None], ...] = ()


def recipients(client: "Client", to: list[str] | None, group: str | None, name: str | None) -> Recipients:
    """Whom `--to`, `--group` and `--name` mean; `Failure` 2 when they contradict one another or say nobody."""
    if bool(to) == (group is not None):
        hint = "name members with --to, or a group with --group; to send to all members: ffctl broadcast"
        raise usage("--to and --group exclude one another" if to else "nobody is to have it", hint)
    if group is None:
        return Recipients(None, name, tuple(map(_member, to or ())))
    if name is not None:
        raise usage("--name goes with --to: the group of --group has one", "drop --name")
    return Recipients(group_hash(client, group))


def _member(text: str) -> tuple[str, str | None]:
    identity, at, node = text.partition("@")
    if not identity or (at and not node):
        raise usage(f"--to {text!r} is nobody", "write an organisation's name or a DID, and perhaps @NODE behind it")
    return identity, node or None


def group_hash(client: "Client", group: str) -> str:
    """The hash of the group of this hash or name; `Failure` 3 when no group has this name, 2 when several have."""
    if HASH.fullmatch(group):
        return group.removeprefix("0x").lower()
    # FireFly knows no filter on a group's name.
    rows = map(decode, client.groups([("sort", "-created"), ("limit", str(LOOKED_THROUGH))]))
    found = [row["hash"] for row in rows if row["name"] == group]
    if not found:
        hint = f"see `ffctl group list`; of more than {LOOKED_THROUGH}, name it by its hash"
        raise Failure(NOT_FOUND, "FFD6006", f"there is no group {group!r}", hint)
    if len(found) > 1:
        raise usage(f"several groups are called {group!r}", "name one by its hash: see `ffctl group list`")
    return str(found[0])
