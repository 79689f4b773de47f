"""`ffctl batch`: messages that travelled together."""

from typing import Annotated

import typer

from ffctl.listing import Collection, show_list
from ffctl.options import Author, Follow, Last, Since, Timeout, Until, exactly, seconds, window
from ffctl.output import show
from ffctl.settings import client_of, settings_of
from ffctl.talk import Talk
from ffctl.tree import examples
from ffctl.views import BATCH, CANCELLATION

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


@app.command(
    "cancel",
    epilog=examples(
        "ffctl op list --status Initialized --format '{batch} {error}'  # what does not get through, and why",
        "ffctl batch cancel 894bc0ea-0c2c-4f0b-a6b7-ba2e0d3a9a1f        # what would be done",
        "ffctl batch cancel 894bc0ea-0c2c-4f0b-a6b7-ba2e0d3a9a1f --yes",
    ),
)
def cancel_batch(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The batch's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this it is only said what would be done.")] = False,
    timeout: Timeout = "30s",
) -> None:
    """Give up a batch that cannot leave, or say what that would do.

    Its messages are cancelled and never sent. Where members would wait for the pins of private ones, messages that say
    nothing fill the gap; what founds a group still goes out. A batch that is on the ledger cannot be given up.
    """
    wait_s = seconds(timeout, "--timeout")
    settings, client = settings_of(ctx), client_of(ctx)
    what = client.cancellation(id)
    if yes:
        client.cancel_batch(id, wait_s=wait_s)
    show(settings, what, CANCELLATION)
    if not yes:
        Talk(settings).note("nothing was done: add --yes to do it")
