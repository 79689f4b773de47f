"""`ffctl version`."""

import json

import typer

from ffctl.failure import Failure
from ffctl.output import show
from ffctl.plain import decode, lookup
from ffctl.settings import client_of, settings_of
from ffctl.views import VERSION

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def version(ctx: typer.Context) -> None:
    """Print the version of ffctl, and of the ffd that answers."""
    from ffd import __version__

    try:
        ffd = lookup(decode(client_of(ctx).status()), "ffd.version")
    except Failure:
        ffd = None
    show(settings_of(ctx), json.dumps({"ffctl": __version__, "ffd": ffd}).encode(), VERSION)
