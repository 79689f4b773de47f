"""`ffctl sub`: durable subscriptions."""

from typing import TYPE_CHECKING, Annotated

import typer

from ffctl import live
from ffctl.failure import NOT_FOUND, Failure
from ffctl.filters import definition, options, wanted
from ffctl.listing import Collection, show_list
from ffctl.options import (
    Author,
    Everything,
    First,
    Follow,
    Last,
    Regexes,
    Since,
    Tag,
    Topics,
    Types,
    Until,
    exactly,
    window,
)
from ffctl.output import show, show_all
from ffctl.plain import decode
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import SUBSCRIPTION

if TYPE_CHECKING:
    from ffctl.client import Client

app = typer.Typer(add_completion=False, rich_markup_mode=None)

Name = Annotated[
    str, typer.Argument(metavar="NAME", autocompletion=live.subscriptions, help="The subscription's name, or its id.")
]


@app.callback()
def sub() -> None:
    """Durable subscriptions, which remember where a reader is."""


@app.command(
    "create",
    epilog=examples(
        "ffctl sub create worker --topic orders --from oldest",
        "ffctl sub create audit --filter 'message.tag=^(paid|refunded)$'",
        "ffctl sub create everything --namespace '*'  # of all namespaces, in one order",
    ),
)
def create_subscription(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    topic: Topics = None,
    type: Types = None,
    tag: Tag = None,
    author: Author = None,
    filter: Regexes = None,
    everything: Everything = False,
    first: First = "newest",
    readahead: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Events in flight beyond the one that waits for its ack.")
    ] = 200,
    batch: Annotated[
        bool, typer.Option("--batch/--no-batch", help="Deliver events in lists, each acknowledged as a whole.")
    ] = True,
    with_data: Annotated[
        bool, typer.Option("--data/--no-data", help="Deliver the data values inside the events.")
    ] = True,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Change the filter and options of the one that has this name; its offset stays."
        ),
    ] = False,
) -> None:
    """Create a durable subscription to messages.

    Exit 4 when there is one of this name, unless --replace is given.
    """
    body = definition(
        name,
        wanted(topic, type, tag, author, filter).messages_unless(everything).filter(),
        options(first=first, readahead=readahead, batch=batch, with_data=with_data),
    )
    show(settings_of(ctx), client_of(ctx).create_subscription(body, replace=replace), SUBSCRIPTION)


@app.command("list", epilog=examples("ffctl sub list", "ffctl sub list --format '{name}'"))
def list_subscriptions(
    ctx: typer.Context,
    since: Since = None,
    until: Until = None,
    last: Last = 0,
    follow: Follow = False,
) -> None:
    """List the durable subscriptions."""
    collection = Collection(client_of(ctx).subscriptions, SUBSCRIPTION, field="created", key="created")
    show_list(settings_of(ctx), collection, window(since, until), last=last, follow=follow)


@app.command("show", epilog=examples("ffctl sub show worker -o json"))
def show_subscription(ctx: typer.Context, name: Name) -> None:
    """Show one durable subscription and its offset."""
    client = client_of(ctx)
    show(settings_of(ctx), client.subscription(find(client, name)), SUBSCRIPTION)


@app.command("delete", epilog=examples("ffctl sub delete worker"))
def delete_subscription(
    ctx: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", autocompletion=live.subscriptions, help="The subscriptions' names, or their ids."
        ),
    ],
) -> None:
    """Delete subscriptions and their offsets, and print what they were."""
    client = client_of(ctx)
    rows = [client.subscription(find(client, name)) for name in names]
    for row in rows:
        client.delete_subscription(str(decode(row)["id"]))
    show_all(settings_of(ctx), rows, SUBSCRIPTION)


def find(client: "Client", name: str) -> str:
    """The id of the subscription of this name or id; `Failure` 3 when there is none."""
    for field in ("name", "id"):
        if (field == "name" or _is_id(name)) and (rows := client.subscriptions(exactly(field, name))):
            return str(decode(rows[0])["id"])
    raise no_subscription(name)


def no_subscription(name: str) -> Failure:
    """There is none of this name."""
    hint = f"see `ffctl sub list`, or make it with `ffctl sub create {name}`"
    return Failure(NOT_FOUND, "FFD6006", f"there is no subscription {name!r}", hint)


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4
