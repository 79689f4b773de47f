"""`ffctl tail`: listen."""

from typing import TYPE_CHECKING, Annotated

import typer

from ffctl import live
from ffctl.failure import NOT_FOUND, Failure, usage
from ffctl.filters import Wanted, definition, options, place, wanted
from ffctl.options import Author, Everything, First, Regexes, Tag, Topics, Types, exactly, seconds
from ffctl.output import Printer
from ffctl.settings import client_of, settings_of
from ffctl.talk import Talk
from ffctl.tree import examples
from ffctl.views import DELIVERY, spanning

if TYPE_CHECKING:
    from ffctl.client import Client

app = typer.Typer(add_completion=False, rich_markup_mode=None)

READAHEAD = 200


@app.command(
    epilog=examples(
        "ffctl tail                                    # what happens from now on",
        "ffctl tail -n 10 --topic news                 # the last ten of a topic, then go on",
        "ffctl tail --from oldest --idle 1s -o ndjson  # all there is",
        "ffctl tail --namespace '*'                    # all namespaces, in one order",
        "ffctl tail worker --create --from oldest --format '{topic} {value}'",
    )
)
def tail(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="SUBSCRIPTION",
            autocompletion=live.subscriptions,
            help="A durable subscription: go on where its last reader stopped. Without it nothing is remembered.",
        ),
    ] = None,
    first: First = None,
    topic: Topics = None,
    type: Types = None,
    tag: Tag = None,
    author: Author = None,
    filter: Regexes = None,
    everything: Everything = False,
    last: Annotated[
        int | None, typer.Option("-n", "--last", min=0, metavar="N", help="Begin with the last N events that match.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="End after N events.")] = None,
    idle: Annotated[
        str | None, typer.Option(metavar="DURATION", help="End when no event came for this long, like 500ms or 10s.")
    ] = None,
    create: Annotated[
        bool,
        typer.Option("--create", help="Create the subscription, with these filters, if there is none of this name."),
    ] = False,
    no_ack: Annotated[
        bool,
        typer.Option("--no-ack", help="Look without acknowledging: at most as many as the subscription reads ahead."),
    ] = False,
    readahead: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="N",
            show_default=False,
            help=f"Events in flight beyond the one that waits for its ack, when made here. [default: {READAHEAD}]",
        ),
    ] = None,
) -> None:
    """Listen: print messages as they are confirmed or rejected.

    Each is acknowledged after it was printed. With the name of a durable subscription every event is delivered at least
    once, whatever happens to the reader. Ctrl-C ends with a summary and exit code 130; when ffd goes away it is 5.
    """
    settings = settings_of(ctx)
    printer = Printer(settings, spanning(DELIVERY, settings.namespace))
    asked = wanted(topic, type, tag, author, filter)
    idle_s = None if idle is None else seconds(idle, "--idle")
    _check(
        name, first, last, create, asked, own=bool(asked) or everything or first is not None or readahead is not None
    )
    client = client_of(ctx)
    from ffctl.listening import Limits, listen, place_of_last, start_frame

    meant = asked.messages_unless(everything)
    if name is None and last is not None:
        first = place_of_last(client, last, meant)
    wanted_options = options(first=first or "newest", readahead=_or(readahead))
    if name is not None:
        _existing(client, name, asked, definition(name, meant.filter(), wanted_options) if create else None)
    start = start_frame(settings.namespace, name, meant.filter(), wanted_options)
    listen(
        settings.path, start, printer, Talk(settings), Limits(count, idle_s), durable=name is not None, ack=not no_ack
    )


def _or(readahead: int | None) -> int:
    return READAHEAD if readahead is None else readahead


def _check(name: str | None, first: str | None, last: int | None, create: bool, asked: Wanted, *, own: bool) -> None:
    """Refuse options that contradict one another, before anything is asked of the daemon."""
    if first is not None:
        place(first)
    asked.filter()
    if first is not None and last is not None:
        raise usage("--from and -n exclude one another", "drop one of the two")
    if name is None and create:
        raise usage("--create needs the subscription's name", "write `ffctl tail NAME --create`")
    if name is not None and last is not None:
        raise usage("-n does not go with a durable subscription, which goes on where it stopped", "drop -n")
    if name is not None and not create and own:
        hint = "add --create, or leave them out: an existing subscription has its own"
        raise usage("filters, --from and --readahead belong to a subscription when it is made", hint)


def _existing(client: "Client", name: str, asked: Wanted, wanted_definition: bytes | None) -> None:
    """See that the durable subscription exists, as asked for if filters were given; create it if it is to be."""
    from ffctl.listening import same_filter

    if rows := client.subscriptions(exactly("name", name)):
        if asked and wanted_definition:
            same_filter(rows[0], wanted_definition, name)
    elif wanted_definition:
        client.create_subscription(wanted_definition)
    else:
        hint = f"see `ffctl sub list`, or make it: ffctl tail {name} --create"
        raise Failure(NOT_FOUND, "FFD6006", f"there is no subscription {name!r}", hint)
