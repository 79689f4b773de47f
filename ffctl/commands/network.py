"""`ffctl network`: several members on this machine, to try out, to develop against, or to stay."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ffctl.failure import INTERRUPTED, Failure, usage
from ffctl.options import Follow, Timeout, seconds
from ffctl.output import Printer, show_all
from ffctl.settings import Settings, settings_of
from ffctl.talk import Talk
from ffctl.tree import examples
from ffctl.views import LOG, MEMBER, MEMBER_STATUS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ffctl.network.plan import Member, Network

app = typer.Typer(add_completion=False, rich_markup_mode=None)

PAUSE_S = 0.1


def _members(ctx: typer.Context, incomplete: str) -> list[str]:
    from ffctl.network import plan

    folder = ctx.params.get("folder")
    try:
        found = plan.read(Path(folder)).members if isinstance(folder, str) else ()
    except Failure:
        return []
    return [member.name for member in found if member.name.startswith(incomplete)]


Folder = Annotated[str, typer.Argument(metavar="DIR", help="The folder that `ffctl network init` made.")]
Some = Annotated[
    list[str] | None,
    typer.Argument(metavar="MEMBER", autocompletion=_members, help="Only these members; all when none is named."),
]


@app.callback()
def network() -> None:
    """Networks of several members on this machine."""


@app.command(
    "init",
    epilog=examples(
        "ffctl network init --members 3 play",
        "ffctl network init --member alice --member bob play && ffctl network up play",
        "ffctl --socket play/alice/ffd.sock send --to bob hello",
    ),
)
def init(
    ctx: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where it is made: a new folder, or an empty one.")],
    count: Annotated[
        int, typer.Option("--members", min=1, max=50, metavar="N", help="So many members: member1, member2, …")
    ] = 3,
    names: Annotated[
        list[str] | None,
        typer.Option("--member", metavar="NAME", help="A member of this name, instead of --members; may be repeated."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The network's name, for its units: the folder's unless given.")
    ] = None,
    http: Annotated[
        bool,
        typer.Option("--http", help="Give each member a port for its API too, open to every program of this machine."),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65000, metavar="N", help="The first of the members' ports: free ones unless given."),
    ] = None,
) -> None:
    """Make a network: a folder with all that its members need.

    Each gets keys, certificates and a configuration, and all share a ledger and a storage. A member is an organisation
    with one node, both of its name; it is spoken to by its socket, DIR/MEMBER/ffd.sock. Nothing is started, and nothing
    leaves this machine.
    """
    from ffctl.network import making, plan

    members = names or [f"member{number}" for number in range(1, count + 1)]
    where = Path(folder)
    first = making.free_ports(where, len(members) * (2 if http else 1)) if port is None else port
    planned = plan.planned(where, name, members, first, http=http)
    making.make(planned)
    show_all(settings_of(ctx), [_row(member) for member in planned.members], MEMBER)


def _row(member: "Member") -> bytes:
    shown: dict[str, object] = {"member": member.name, "socket": str(member.socket), "config": str(member.config)}
    shown["exchangePort"] = member.exchange_port
    if member.http_port is not None:
        shown["http"] = f"http://127.0.0.1:{member.http_port}"
    return json.dumps(shown, ensure_ascii=False).encode()


@app.command(
    "up",
    epilog=examples(
        "ffctl network up play",
        "ffctl network up --foreground play      # until Ctrl-C, with what all say",
        "ffctl network up --systemd play",
        "ffctl network up play member2           # one that was down",
    ),
)
def up(
    ctx: typer.Context,
    folder: Folder,
    members: Some = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, print what the members say, and stop them at Ctrl-C.")
    ] = False,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="As services of this user's systemd, which starts one again that fails.")
    ] = False,
    timeout: Timeout = "30s",
) -> None:
    """Start the members, and wait until they know each other.

    They stay until `ffctl network down`. A member that runs already is left as it is.
    """
    from ffctl.network import plan, running

    if foreground and systemd:
        raise usage("--foreground and --systemd exclude one another", "drop one of the two")
    wait_s = seconds(timeout, "--timeout")
    found = plan.read(Path(folder))
    chosen = found.some(members)
    settings = settings_of(ctx)
    if foreground:
        _stay(settings, found, chosen, wait_s)
        return
    with plan.alone(found):
        running.bring_up(found, chosen, wait_s, as_units=systemd)
    _show_status(settings, chosen)


def _stay(settings: Settings, network: "Network", chosen: "Sequence[Member]", wait_s: float) -> None:
    """Members that live as long as this command: it prints what they say, and stops them when it is interrupted."""
    import select

    from ffctl.interrupts import Interrupts
    from ffctl.network import logs, plan, running

    talk = Talk(settings)
    with plan.alone(network):
        started = running.bring_up(network, chosen, wait_s, as_units=False)
    journal = logs.Journal(started)
    printer = Printer(settings, LOG)
    with Interrupts() as interrupts:
        talk.note(f"{len(chosen)} members are up; Ctrl-C stops the {len(started)} that were started here")
        alive = list(started)
        try:
            while alive and not interrupts.asked:
                printer.rows(journal.more())
                alive = _mourned(talk, alive)
                select.select([interrupts], [], [], PAUSE_S)
        finally:
            running.stop(started)
            printer.rows(journal.more())
            journal.close()
    if interrupts.asked:
        raise SystemExit(INTERRUPTED)


def _mourned(talk: Talk, members: "Sequence[Member]") -> "list[Member]":
    """Those of the members that still live; the others are named."""
    from ffctl.network import processes

    living = [member for member in members if processes.running(member) is not None]
    for member in members:
        if member not in living:
            talk.note(f"member {member.name} has ended")
    return living


@app.command("down", epilog=examples("ffctl network down play", "ffctl network down play member2"))
def down(ctx: typer.Context, folder: Folder, members: Some = None) -> None:
    """Stop the members.

    Each drains first. Nothing of what they have is lost or removed.
    """
    from ffctl.network import plan, running

    found = plan.read(Path(folder))
    chosen = found.some(members)
    with plan.alone(found):
        stopped = running.stop(chosen)
    Talk(settings_of(ctx)).note(f"{len(stopped)} of {len(chosen)} members were running, and are stopped")


@app.command(
    "status", epilog=examples("ffctl network status play", "ffctl network status play --format '{member} {state}'")
)
def status(ctx: typer.Context, folder: Folder, members: Some = None) -> None:
    """Show which members run, whom they know, and what waits."""
    from ffctl.network import plan

    _show_status(settings_of(ctx), plan.read(Path(folder)).some(members))


def _show_status(settings: Settings, members: "Sequence[Member]") -> None:
    from ffctl.network import running

    rows: list[Any] = [running.picture(member) for member in members]
    show_all(settings, [json.dumps(row, ensure_ascii=False).encode() for row in rows], MEMBER_STATUS)


@app.command("logs", epilog=examples("ffctl network logs play -f", "ffctl network logs play member2 -n 100 -o ndjson"))
def logs(
    ctx: typer.Context,
    folder: Folder,
    members: Some = None,
    last: Annotated[int, typer.Option("-n", "--last", min=0, metavar="N", help="The last N lines; 0 for all.")] = 25,
    follow: Follow = False,
) -> None:
    """Print what the members say, in the order of time."""
    from ffctl.network.logs import Journal
    from ffctl.network.plan import read

    settings = settings_of(ctx)
    journal = Journal(read(Path(folder)).some(members))
    rows = journal.last(last)
    if not follow:
        show_all(settings, rows, LOG)
        return
    printer = Printer(settings, LOG)
    printer.rows(rows)
    _follow(journal, printer)


def _follow(journal: Any, printer: Printer) -> None:
    import select

    from ffctl.interrupts import Interrupts

    with Interrupts() as interrupts:
        while not interrupts.asked:
            printer.rows(journal.more())
            select.select([interrupts], [], [], PAUSE_S)
    raise SystemExit(INTERRUPTED)
