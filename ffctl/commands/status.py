"""`ffctl status`, and what `ffctl` alone says."""

from typing import TYPE_CHECKING, Any

import typer

from ffctl.output import show, write
from ffctl.plain import decode, lookup, text_of, visible
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import STATUS

if TYPE_CHECKING:
    from ffctl.client import Client

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(epilog=examples("ffctl status -o json", "ffctl status --format '{ffd.version} {node.name}'"))
def status(ctx: typer.Context) -> None:
    """Show how the node does, and what is blocked and why.

    Roles, sequences, the backlog, blocked topics, subscriptions and their lag; `ffctl` alone has the short of it.
    """
    show(settings_of(ctx), client_of(ctx).status(), STATUS)


def overview(ctx: typer.Context) -> None:
    """The node's state in a few lines, and what to do next."""
    settings = settings_of(ctx)
    client = client_of(ctx)
    raw = client.status()
    if settings.output not in (None, "table") or settings.format:
        show(settings, raw, STATUS)
        return
    value = decode(raw)
    facts = _facts(value)
    if text_of(lookup(value, "ffd.backlog.unsent")) not in ("", "0"):
        facts += [("tries again", error) for error in _errors(client)]
    lines = [f"{name:<14}{visible(text)}" for name, text in facts if text]
    write("\n".join([*lines, "", "Next:", *(f"  {command}" for command in _next(value)), ""]))


def _errors(client: "Client") -> list[str]:
    """What the outside said against the latest batches that are not on the ledger yet, each sentence once."""
    rows = client.operations([("status", "Initialized"), ("sort", "-created"), ("limit", "50")])
    return list(dict.fromkeys(text_of(decode(row).get("error")) for row in rows))


def _facts(value: Any) -> list[tuple[str, str]]:

    def at(path: str) -> str:
        return text_of(lookup(value, path))

    blocked = lookup(value, "ffd.blocked") or []
    failing = [role for role in lookup(value, "ffd.roles") or [] if role.get("state") == "failing"]
    return [
        (
            "node",
            f"{at('node.name')}, ffd {at('ffd.version')}, pid {at('ffd.pid')}, up {_span(at('ffd.uptimeSeconds'))}",
        ),
        ("namespace", at("namespace.name")),
        ("organisation", at("org.name")),
        ("socket", at("ffd.socket")),
        ("http", " ".join(lookup(value, "ffd.http") or [])),
        ("events", at("ffd.sequences.events")),
        ("backlog", f"{at('ffd.backlog.unsent')} unsent, {at('ffd.backlog.unconfirmed')} unconfirmed"),
        ("subscriptions", str(len(lookup(value, "ffd.subscriptions") or []))),
        ("blocked", f"{_topics(len(blocked))}: see `ffctl status -o json`" if blocked else "nothing"),
        *(("failing", f"{text_of(role.get('name'))}: {text_of(role.get('error'))}") for role in failing),
    ]


def _span(seconds: str) -> str:
    """So many seconds in the two units that say most: `12 s`, `4 min 44 s`, `3 h 12 min`, `5 d 3 h`."""
    left = int(float(seconds or 0))
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    first = next((place for place, (_, size) in enumerate(units) if left >= size), 3)
    parts = []
    for name, size in units[first : first + 2]:
        parts.append(f"{left // size} {name}")
        left %= size
    return " ".join(parts)


def _topics(count: int) -> str:
    return "1 topic waits" if count == 1 else f"{count} topics wait"


def _next(value: Any) -> list[str]:
    if not lookup(value, "ffd.sequences.events") or text_of(lookup(value, "ffd.sequences.events")) in ("0", "-1"):
        return ["ffctl broadcast --topic news hello", "ffctl tail --from oldest", "ffctl --help"]
    return ["ffctl tail -n 10", "ffctl msg list", "ffctl sub list", "ffctl --help"]
