"""`ffctl event`: the log of events."""

import re
from typing import Annotated

import typer

from ffctl import live
from ffctl.failure import NOT_FOUND, Failure
from ffctl.listing import Collection, show_list
from ffctl.options import Follow, Last, Since, Topics, Types, Until, exactly, known, window, with_id
from ffctl.output import show
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import EVENT, spanning

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback()
def event() -> None:
    """Events: list the log, show one. To listen, see `ffctl tail`."""


@app.command(
    "list",
    epilog=examples(
        "ffctl event list -n 50",
        "ffctl event list --topic news --since 10m -o ndjson",
        "ffctl event list --reference 4ea27cce-a103-4187-b318-f7b20fd87bf3",
    ),
)
def list_events(
    ctx: typer.Context,
    topic: Topics = None,
    type: Types = None,
    reference: Annotated[
        str | None, typer.Option(metavar="ID", help="Only events that speak of this message or other object.")
    ] = None,
    references: Annotated[
        bool, typer.Option("--references", help="With the message or other object that each speaks of.")
    ] = False,
    after: Annotated[
        int | None, typer.Option("--after", min=-1, metavar="SEQ", help="Only events after this sequence number.")
    ] = None,
    since: Since = None,
    until: Until = None,
    last: Last = 25,
    follow: Follow = False,
) -> None:
    """List the events of the log, the newest last."""
    query = [
        *exactly("topic", topic),
        *exactly("type", known("--type", type, live.EVENT_TYPES)),
        *with_id("reference", reference),
        *window(since, until),
        *([("sequence", f"[>{after}")] if after is not None else []),
        *([("fetchreferences", "true")] if references else []),
    ]
    settings = settings_of(ctx)
    collection = Collection(client_of(ctx).events, spanning(EVENT, settings.namespace))
    show_list(settings, collection, query, last=last, follow=follow)


@app.command(
    "show", epilog=examples("ffctl event show 42", "ffctl event show cb0e6de1-50a9-44f2-a2ff-411f6dcc19c9 -o yaml")
)
def show_event(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The event's id, or its sequence number.")],
    references: Annotated[
        bool, typer.Option("--references/--no-references", help="With the message or other object that it speaks of.")
    ] = True,
) -> None:
    """Show one event."""
    client = client_of(ctx)
    if not re.fullmatch(r"[0-9]{1,18}", id):
        show(settings_of(ctx), client.event(id, references=references), EVENT)
        return
    rows = client.events([("sequence", id), ("limit", "1"), ("fetchreferences", str(references).lower())])
    if not rows:
        hint = "the sequence is of all namespaces: it may be another's"
        raise Failure(NOT_FOUND, "FFD6006", f"there is no event {id} in namespace {client.namespace!r}", hint)
    show(settings_of(ctx), rows[0], EVENT)
