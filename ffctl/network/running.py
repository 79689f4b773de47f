"""A network that runs: its members brought up until they know each other, taken down, and looked at."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ffctl.client import Client
from ffctl.failure import FAILED, TIMED_OUT, Failure
from ffctl.network import processes, units
from ffctl.network.logs import last_words
from ffctl.network.plan import Member, Network
from ffctl.plain import decode, lookup

LOOK_S = 0.02
STOP_S = 30.0
"""What a member may take to stop: it ends itself long before."""
ASK_S = 5.0


@dataclass(frozen=True, slots=True)
class Life:
    """How a member lives: its process, and whether the user's service manager has it."""

    pid: int | None
    is_unit: bool


def life(member: Member) -> Life:
    """Whether a member runs, and as what."""
    if units.is_linked(member):
        return Life(units.running(member), True)
    return Life(processes.running(member) or _answering(member), False)


def _answering(member: Member) -> int | None:
    """The process of a member that somebody started by hand."""
    pid = lookup(_status(member), "ffd.pid")
    return None if pid is None else int(pid)


def bring_up(network: Network, members: Sequence[Member], deadline_s: float, *, as_units: bool) -> list[Member]:
    """Start those that do not run yet, and wait until all are together; which were started.

    `Failure` 1 when one ends, 6 when one is late; then those that were started now are stopped again.
    """
    ours = [member for member in members if life(member).pid is None]
    try:
        if as_units:
            units.start(ours)
        else:
            for member in ours:
                processes.start(member)
        _wait_together(network, members, deadline_s)
    except BaseException:
        stop(ours)
        raise
    return ours


def _wait_together(network: Network, members: Sequence[Member], deadline_s: float) -> None:
    """Wait until these members are ready and each knows all that run."""
    end = time.monotonic() + deadline_s
    for member in members:
        _until(member, end, "not ready", partial(_is_ready, member))
    names = {each.name for each in network.members if life(each).pid is not None}
    for member in members:
        _until(member, end, "does not know all others yet", partial(_knows, member, names))


def _until(member: Member, end: float, what: str, look: Callable[[], bool]) -> None:
    while not look():
        if life(member).pid is None:
            raise Failure(FAILED, "FFD6020", f"member {member.name} has ended: {last_words(member)}", _hint(member))
        if time.monotonic() >= end:
            raise Failure(TIMED_OUT, "FFD6005", f"member {member.name}: {what}", _hint(member))
        time.sleep(LOOK_S)


def _hint(member: Member) -> str:
    return f"see `ffctl network logs {member.folder.parent} {member.name}`"


def _is_ready(member: Member) -> bool:
    try:
        return _client(member).ready()[0]
    except Failure:
        return False


def _knows(member: Member, names: set[str]) -> bool:
    return names <= _known(member)


def _known(member: Member) -> set[str]:
    """The nodes that a member knows to be registered."""
    try:
        rows = map(decode, _client(member).identities([("type", "=node"), ("limit", "1000")]))
        return {str(row["name"]) for row in rows if lookup(row, "messages.claim")}
    except Failure:
        return set()


def stop(members: Sequence[Member]) -> list[Member]:
    """Stop those that run, and wait until they have ended; which these were. `Failure` 6 when one goes on."""
    lives = [(member, life(member)) for member in members]
    units_of_ours = [member for member, found in lives if found.is_unit]
    if units_of_ours:
        units.stop(units_of_ours)
    alone = {member.name: found.pid for member, found in lives if found.pid is not None and not found.is_unit}
    for pid in alone.values():
        processes.stop(pid)
    if left := processes.wait_ended(list(alone.values()), STOP_S):
        names = ", ".join(name for name, pid in alone.items() if pid in left)
        raise Failure(TIMED_OUT, "FFD6005", f"still running after {STOP_S:g} s: {names}", "see their logs")
    for member in members:
        processes.forget(member)
    return [member for member, found in lives if found.pid is not None]


def picture(member: Member) -> dict[str, Any]:
    """How a member does: one row of `ffctl network status`."""
    found = life(member)
    said = _status(member) if found.pid is not None else {}
    row: dict[str, Any] = {"member": member.name, "state": _state(member, found, said)}
    row |= {"pid": found.pid, "service": member.unit if found.is_unit else None, "socket": str(member.socket)}
    if said:
        row |= {
            "knows": sorted(_known(member)),
            "events": lookup(said, "ffd.sequences.events"),
            "unsent": lookup(said, "ffd.backlog.unsent"),
            "unconfirmed": lookup(said, "ffd.backlog.unconfirmed"),
            "blocked": len(lookup(said, "ffd.blocked") or []),
        }
    return row


def _state(member: Member, found: Life, said: Any) -> str:
    if found.pid is None:
        return "down"
    return "starting" if not said else "ready" if _is_ready(member) else "not ready"


def _status(member: Member) -> Any:
    try:
        return decode(_client(member).status())
    except Failure:
        return {}


def _client(member: Member) -> Client:
    return Client(str(member.socket), "default", timeout_s=ASK_S)
