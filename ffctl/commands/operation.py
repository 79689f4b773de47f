"""`ffctl op`: what is asked of the outside."""

from typing import Annotated

import typer

from ffctl.listing import Collection, show_list
from ffctl.options import Follow, Last, Since, Until, exactly, known, window, with_id
from ffctl.output import show
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import OPERATION

app = typer.Typer(add_completion=False, rich_markup_mode=None)

STATUSES = ("Initialized", "Pending", "Succeeded", "Failed")
TYPES = (
    "dataexchange_send_batch",
    "dataexchange_send_blob",
    "blockchain_pin_batch",
    "blockchain_network_action",
    "sharedstorage_upload_batch",
    "sharedstorage_upload_blob",
    "sharedstorage_upload_value",
    "sharedstorage_download_batch",
    "sharedstorage_download_blob",
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The operation's id.")]


@app.callback()
def op() -> None:
    """Operations: what is asked of the outside, and its outcome."""


def _statuses(incomplete: str) -> list[str]:
    return [status for status in STATUSES if status.lower().startswith(incomplete.lower())]


def _types(incomplete: str) -> list[str]:
    return [type for type in TYPES if type.startswith(incomplete)]


@app.command(
    "list",
    epilog=examples(
        "ffctl op list --status Failed",
        "ffctl op list --type dataexchange_send_batch --status Initialized  # what others have not got yet",
    ),
)
def list_operations(
    ctx: typer.Context,
    status: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STATUS",
            autocompletion=_statuses,
            help="Only these: Initialized (it is tried), Pending, Succeeded or Failed; may be repeated.",
        ),
    ] = None,
    type: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE", autocompletion=_types, help="Only this type, like dataexchange_send_batch; may be repeated."
        ),
    ] = None,
    tx: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this transaction.")] = None,
    since: Since = None,
    until: Until = None,
    last: Last = 25,
    follow: Follow = False,
) -> None:
    """List operations, the newest last.

    A batch of private messages has one for each node that is to have it.
    """
    query = [
        *exactly("status", known("--status", status, STATUSES)),
        *exactly("type", known("--type", type, TYPES)),
        *with_id("tx", tx),
        *window(since, until),
    ]
    collection = Collection(client_of(ctx).operations, OPERATION, field="created", key="created")
    show_list(settings_of(ctx), collection, query, last=last, follow=follow)


@app.command("show", epilog=examples("ffctl op show 894bc0ea-0c2c-4f0b-a6b7-ba2e0d3a9a1f -o json"))
def show_operation(ctx: typer.Context, id: Id) -> None:
    """Show one operation, and what the outside said."""
    show(settings_of(ctx), client_of(ctx).operation(id), OPERATION)


@app.command("retry", epilog=examples("ffctl op retry 894bc0ea-0c2c-4f0b-a6b7-ba2e0d3a9a1f"))
def retry_operation(ctx: typer.Context, id: Id) -> None:
    """Do one once more, under a new id, and print that.

    Exit 4 while it is tried anyway.
    """
    show(settings_of(ctx), client_of(ctx).retry_operation(id), OPERATION)
