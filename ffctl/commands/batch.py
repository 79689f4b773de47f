"""`ffctl batch`: messages that travelled together."""

from typing import Annotated

import typer

from ffctl.listing import Collection, show_list
from ffctl.options import Author, Follow, Last, Since, Until, exactly, window
from ffctl.output import show
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import BATCH

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def batch() -> None:
    """Batches: messages that travel together under one pin."""


@app.command("list", epilog=examples("ffctl batch list -n 5", "ffctl batch list --since 1h -o id"))
def list_batches(
    ctx: typer.Context,
    author: Author = None,
    since: Since = None,
    until: Until = None,
    last: Last = 25,
    follow: Follow = False,
) -> None:
    """List batches, the newest last."""
    query = [*exactly("author", author), *window(since, until)]
    collection = Collection(client_of(ctx).batches, BATCH, field="created", key="created")
    show_list(settings_of(ctx), collection, query, last=last, follow=follow)


@app.command("show", epilog=examples("ffctl batch show 894bc0ea-0c2c-4f0b-a6b7-ba2e0d3a9a1f -o json"))
def show_batch(ctx: typer.Context, id: Annotated[str, typer.Argument(metavar="ID", help="The batch's id.")]) -> None:
    """Show one batch and its manifest."""
    show(settings_of(ctx), client_of(ctx).batch(id), BATCH)
