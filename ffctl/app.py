"""`ffctl`: the root command, and the one place where errors become a line on stderr and an exit code."""

import os
import re
import sys
from typing import Any, ClassVar, NoReturn

import typer

from ffctl.failure import FAILED, INTERRUPTED, USAGE, Failure
from ffctl.output import write
from ffctl.settings import Settings, settings_of
from ffctl.talk import Talk
from ffctl.tree import LazyGroup, TyperGroup, UsageError, build, complete, examples

COMPLETE = "_FFCTL_COMPLETE"
"""Set by the completion scripts (`ffctl completion`) to the name of the shell."""


class Root(LazyGroup):
    """The top level: everyday verbs first, then nouns, then the program itself."""

    sources: ClassVar = {
        name: f"ffctl.commands.{module}"
        for name, module in (
            ("broadcast", "broadcast"),
            ("send", "send"),
            ("request", "request"),
            ("tail", "tail"),
            ("status", "status"),
            ("wait", "wait"),
            ("sub", "subscription"),
            ("msg", "message"),
            ("event", "event"),
            ("batch", "batch"),
            ("pin", "pin"),
            ("op", "operation"),
            ("identity", "identity"),
            ("group", "group"),
            ("network", "network"),
            ("version", "version"),
            ("help", "help"),
            ("completion", "completion"),
        )
    }


app = typer.Typer(cls=Root, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(
    invoke_without_command=True,
    epilog=examples(
        "ffctl broadcast --topic news hello",
        "ffctl tail --from oldest --count 1 -o json",
        "seq 1000 | ffctl broadcast --lines --topic numbers",
        "ffctl tail worker --create --format '{topic} {value}'",
        "ffctl help exit-codes",
    ),
)
def ffctl(ctx: typer.Context) -> None:
    """Send to, listen to and look into ffd, the ordered event bus of this machine.

    stdout is data, stderr is talk. Without a command it prints how the node does.
    """
    if ctx.invoked_subcommand is None:
        from ffctl.commands.status import overview

        overview(ctx)


def main() -> NoReturn:
    """Run one command line and exit."""
    settings = Settings()
    try:
        _check_streams()
        code = run(sys.argv[1:], settings)
    except Failure as failure:
        Talk(settings).error(str(failure), failure.hint)
        code = failure.exit_code
    except RecursionError:
        Talk(settings).error("FFD6012: a value is nested too deeply to be laid out", "print it as it is: -o ndjson")
        code = FAILED
    except OSError as error:  # a person never gets a traceback for what the system said
        Talk(settings).error(f"FFD6014: the system refused something: {error}")
        code = FAILED
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _check_streams() -> None:
    """See that there are three standard streams, so that no socket takes the number of one."""
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        os.open(os.devnull, os.O_WRONLY)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  until the end of the process
    if sys.stdout is None:
        # Not silence: a tail would acknowledge what nobody has seen.
        raise Failure(FAILED, "FFD6013", "stdout is closed", "give the data somewhere to go, if only > /dev/null")


def run(args: list[str], settings: Settings) -> int:
    """Run one command line; the exit code, or `Failure`."""
    root = build(app)
    if os.environ.get(COMPLETE):
        return _complete(root, args, settings)
    try:
        ended = root.main(args, prog_name="ffctl", standalone_mode=False, obj=settings)
    except UsageError as error:
        where = error.ctx.command_path if error.ctx else _meant(root, args)
        raise Failure(USAGE, "FFD6001", _sentence(error), f"see `{where} --help`") from None
    except typer.Abort:
        return FAILED
    return ended if isinstance(ended, int) else 0


def _meant(root: LazyGroup, args: list[str]) -> str:
    """The command that the words name, for an error that does not know where it stands."""
    found = "ffctl"
    command: Any = root
    for word in args:
        below = command.commands.get(word) if isinstance(command, TyperGroup) else None
        if below:
            found, command = f"{found} {word}", below
    return found


def _complete(root: LazyGroup, args: list[str], settings: Settings) -> int:
    from ffctl.commands.completion import suggestion

    shell = os.environ[COMPLETE]
    write("".join(f"{suggestion(shell, value, words)}\n" for value, words in complete(root, args, settings)))
    return 0


def _sentence(error: UsageError) -> str:
    """Typer's text on one line, without its last dot, and a clearer one where it has a vague one."""
    text = " ".join(error.format_message().split()).removesuffix(".")
    if extra := re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", text):
        return f"unexpected: {extra[1]} (a text with spaces must be quoted)"
    if text == "Missing command" and error.ctx and isinstance(error.ctx.command, TyperGroup):
        return f"{text}: one of {', '.join(error.ctx.command.list_commands(error.ctx))}"
    return text


__all__ = ["app", "main", "run", "settings_of"]
