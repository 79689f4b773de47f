"""`ffctl msg`: messages."""

from typing import Annotated

import typer

from ffctl import live
from ffctl.listing import Collection, show_list
from ffctl.options import Author, Follow, Last, Since, Tag, Topics, Until, exactly, known, window, with_id
from ffctl.output import show
from ffctl.recipients import group_hash
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import MESSAGE, MESSAGE_WITH_DATA

app = typer.Typer(add_completion=False, rich_markup_mode=None)

STATES = ("staged", "ready", "sent", "pending", "confirmed", "rejected", "cancelled")

TYPES = ("broadcast", "private", "definition", "groupinit")


@app.callback()
def msg() -> None:
    """Messages: list them, show one."""


def _states(incomplete: str) -> list[str]:
    return [state for state in STATES if state.startswith(incomplete)]


def _types(incomplete: str) -> list[str]:
    return [type for type in TYPES if type.startswith(incomplete)]


@app.command(
    "list",
    epilog=examples(
        "ffctl msg list --topic news --state confirmed -n 10",
        "ffctl msg list --since 1h --data --format '{created} {value}'",
        "ffctl msg list --state rejected -o ndjson",
        "ffctl msg list --type private --group board --data",
    ),
)
def list_messages(
    ctx: typer.Context,
    topic: Topics = None,
    tag: Tag = None,
    author: Author = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATE",
            autocompletion=_states,
            help="Only messages in this state, like confirmed or rejected; may be repeated.",
        ),
    ] = None,
    type: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE",
            autocompletion=_types,
            help="Only these: broadcast, private, definition or groupinit; may be repeated.",
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP", autocompletion=live.groups, help="Only messages of this group: its hash or name."
        ),
    ] = None,
    cid: Annotated[str | None, typer.Option(metavar="ID", help="Only answers to this message.")] = None,
    data: Annotated[bool, typer.Option("--data", help="With the data values inside.")] = False,
    since: Since = None,
    until: Until = None,
    last: Last = 25,
    follow: Follow = False,
) -> None:
    """List messages, the newest last."""
    client = client_of(ctx)
    query = [
        *_with_topics(topic),
        *exactly("tag", tag),
        *exactly("author", author),
        *exactly("state", known("--state", state, STATES)),
        *exactly("type", known("--type", type, TYPES)),
        *exactly("group", None if group is None else group_hash(client, group)),
        *with_id("cid", cid),
        *window(since, until),
        *([("fetchdata", "true")] if data else []),
    ]
    view = MESSAGE_WITH_DATA if data else MESSAGE
    collection = Collection(client.messages, view, field="created", key="header.created")
    show_list(settings_of(ctx), collection, query, last=last, follow=follow)


def _with_topics(topics: list[str] | None) -> list[tuple[str, str]]:
    """The daemon compares the list of topics as one text, joined by commas: a topic stands alone or at a comma."""
    return [
        ("topics", condition)
        for topic in topics or []
        for condition in (f"={topic}", f"^{topic},", f"${','}{topic}", f"@,{topic},")
    ]


@app.command("show", epilog=examples("ffctl msg show 4ea27cce-a103-4187-b318-f7b20fd87bf3 -o json"))
def show_message(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The message's id.")],
    data: Annotated[bool, typer.Option("--data/--no-data", help="With the data values inside.")] = True,
) -> None:
    """Show one message and how far it has come."""
    show(settings_of(ctx), client_of(ctx).message(id, data=data), MESSAGE_WITH_DATA if data else MESSAGE)
