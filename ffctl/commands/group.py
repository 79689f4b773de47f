"""`ffctl group`: those to whom private messages go together."""

from typing import Annotated

import typer

from ffctl import live
from ffctl.listing import Collection, show_list
from ffctl.options import Follow, Last, Since, Until, window
from ffctl.output import show
from ffctl.recipients import group_hash
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import GROUP

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """Groups: those to whom private messages go together."""


@app.command("list", epilog=examples("ffctl group list", "ffctl group list --format '{hash} {name}'"))
def list_groups(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    last: Last = 25,
    follow: Follow = False,
) -> None:
    """List the groups that this node is in, the newest last.

    A group comes to be with the first message to its members.
    """
    collection = Collection(client_of(ctx).groups, GROUP, field="created", key="created")
    show_list(settings_of(ctx), collection, window(since, until), last=last, follow=follow)


@app.command("show", epilog=examples("ffctl group show board -o json"))
def show_group(
    ctx: typer.Context,
    group: Annotated[
        str, typer.Argument(metavar="GROUP", autocompletion=live.groups, help="The group's hash, or its name.")
    ],
) -> None:
    """Show one group and its members."""
    client = client_of(ctx)
    show(settings_of(ctx), client.group(group_hash(client, group)), GROUP)
