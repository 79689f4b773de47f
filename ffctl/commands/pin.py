"""`ffctl pin`: marks of batches on the ledger."""

from typing import Annotated

import typer

from ffctl.listing import Collection, show_list
from ffctl.options import Follow, Last, Since, Until, exactly, window, with_hash, with_id
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import PIN

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def pin() -> None:
    """Pins: the marks of batches on the ledger, in its order."""


@app.command("list", epilog=examples("ffctl pin list --waiting", "ffctl pin list -n 5 -o ndjson"))
def list_pins(
    ctx: typer.Context,
    batch: Annotated[str | None, typer.Option(metavar="ID", help="Only pins of this batch.")] = None,
    hash: Annotated[str | None, typer.Option(metavar="HEX", help="Only pins of this context.")] = None,
    dispatched: Annotated[
        bool | None,
        typer.Option("--dispatched/--waiting", help="Only pins that became events, or only those that wait."),
    ] = None,
    since: Since = None,
    until: Until = None,
    last: Last = 25,
    follow: Follow = False,
) -> None:
    """List pins in the ledger's order, the newest last."""
    state = None if dispatched is None else str(dispatched).lower()
    query = [
        *with_id("batch", batch),
        *with_hash("hash", hash),
        *exactly("dispatched", state),
        *window(since, until),
    ]
    show_list(settings_of(ctx), Collection(client_of(ctx).pins, PIN), query, last=last, follow=follow)
