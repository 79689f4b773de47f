"""`ffctl help`: the help of a command, and pages that belong to none."""

import json
from typing import Annotated, Any

import typer

from ffctl.failure import EXIT_CODES, usage
from ffctl.output import show_all, write
from ffctl.settings import settings_of
from ffctl.tree import Command, Context, TyperGroup, examples
from ffctl.views import EXIT_CODE

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _topics(ctx: typer.Context, incomplete: str) -> list[str]:
    root: Any = ctx.find_root()
    return [name for name in [*root.command.list_commands(root), "exit-codes"] if name.startswith(incomplete)]


@app.command(name="help", epilog=examples("ffctl help tail", "ffctl help sub create", "ffctl help exit-codes"))
def help_on(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOPIC", autocompletion=_topics, help="A command, or exit-codes."),
    ] = None,
) -> None:
    """Print the help of a command, or all exit codes."""
    if words == ["exit-codes"]:
        rows = [{"code": code, "name": name, "meaning": meaning} for code, (name, meaning) in EXIT_CODES.items()]
        show_all(settings_of(ctx), [json.dumps(row).encode() for row in rows], EXIT_CODE)
    else:
        write(_page(ctx.find_root(), words or []) + "\n")


def _page(root: Any, words: list[str]) -> str:
    context: Context = root
    for word in words:
        below = context.command.get_command(context, word) if isinstance(context.command, TyperGroup) else None
        if not isinstance(below, Command):
            raise usage(f"there is no help on {' '.join(words)!r}", "see `ffctl help`")
        context = below.context_class(below, info_name=word, parent=context, **below.context_settings)
    return context.get_help()
