"""The command tree on Typer's insides, all in this one file: Typer is pinned to a minor version for it.

Three things Typer does not do by itself. A group loads a command's module when the command is wanted, so that
`ffctl msg show` imports one. Every command gets the common options, like `-o`. And plain texts and numbers are
not checked through pydantic, whose import would cost more than the whole rest of a start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Annotated, Any, ClassVar, cast

import typer
from typer._click.core import Command, Context, Parameter, ParameterSource
from typer._click.exceptions import UsageError
from typer._click.shell_completion import CompletionItem, ShellComplete
from typer._coercion import RuntimeParam
from typer.core import TyperArgument, TyperGroup
from typer.main import get_command
from typer.models import OptionInfo

from ffctl.settings import Color, Output, Settings

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

__all__ = [
    "Command",
    "Context",
    "LazyGroup",
    "Parameter",
    "TyperGroup",
    "UsageError",
    "build",
    "common_options",
    "complete",
    "examples",
]


def examples(*lines: str) -> str:
    """An epilog that keeps its lines: `command` or `# remark` each."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class LazyGroup(TyperGroup):
    """A group whose commands are modules: `sources` maps a name to one, whose `app` is a Typer application."""

    sources: ClassVar[Mapping[str, str]] = {}

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command, its module loaded now if it was not."""
        if cmd_name not in self.commands and cmd_name in self.sources:
            self.commands[cmd_name] = _load(cmd_name, self.sources[cmd_name])
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: Context) -> list[str]:
        """All names, in the order of `sources`."""
        return list(self.sources)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """As Typer, which suggests only from commands that are loaded."""
        if args[0] not in self.sources:
            for name in self.sources:
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)


def build(app: typer.Typer) -> LazyGroup:
    """The root command of an application whose `cls` is a `LazyGroup`."""
    root = cast(LazyGroup, get_command(app))
    _furnish(root)
    return root


def complete(root: Command, words: list[str], settings: Settings) -> list[tuple[str, str]]:
    """What could stand for the last of `words` (which follow `ffctl`): values with their help."""
    *before, incomplete = words or [""]
    items = _Completion(root, {"obj": settings}, "ffctl", "").get_completions(before, incomplete)
    return [(item.value, item.help or "") for item in items]


def _load(name: str, module: str) -> Command:
    command = get_command(import_module(module).app)
    command.name = name
    _furnish(command)
    return command


def _furnish(command: Command) -> None:
    """Give a command, and those below it, the common options and cheap checks."""
    command.context_settings = {**HELP, **command.context_settings}
    command.params = [*command.params, *common_options()]
    context = command.context_class(command, **command.context_settings)
    for param in command.get_params(context):  # with --help, which is made here
        if "--help" in param.opts:
            param.callback = _print_help
        _plain_words(param)
        _cheapen(param)
    if isinstance(command, TyperGroup):
        for below in command.commands.values():
            _furnish(below)


def _plain_words(param: Any) -> None:
    """Describe a parameter without Python's words: `NAME...` and `at least 0`, not `{NAME}... <list[str]>`, `x>=0`."""
    if isinstance(param, TyperArgument):
        name = param.display_name_raw + ("" if param.nargs == 1 else "...")
        shown = name if param.required else f"[{name}]"
        vars(param).update(_usage_display_name=lambda: shown, display_type_rich=lambda ctx: "")
    low, high = getattr(param, "min", None), getattr(param, "max", None)
    if low is not None or high is not None:
        bounds = _bounds(low, high)
        vars(param).update(_get_number_range_help_str=lambda: bounds)


def _bounds(low: float | None, high: float | None) -> str:
    return f"at least {low:g}" if high is None else f"{low or 0:g} to {high:g}"


def _print_help(ctx: Context, param: Parameter, value: bool) -> None:
    """Print the help as data is printed, so that a full disk or a closed pipe is told as everywhere."""
    from ffctl.output import write

    if value and not ctx.resilient_parsing:
        write(ctx.get_help() + "\n")
        ctx.exit()


def _keep(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> None:
    """Remember a common option that was given; one that was not leaves what a command above was given."""
    settings = ctx.find_root().obj
    # What a variable says is taken once, at the top: below, it would undo an option that stands before the command.
    if ctx.parent is not None and ctx.get_parameter_source(cast(Any, param).name) is ParameterSource.ENVIRONMENT:
        return
    if value is not None and value is not False and isinstance(settings, Settings):
        setattr(settings, cast(Any, param).name, value)


def _options(
    output: Annotated[
        Output | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FORMAT",
            callback=_keep,
            expose_value=False,
            help="How to print: table, json, ndjson, yaml or id.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            callback=_keep,
            expose_value=False,
            help="Print a line like '{topic} {id}' for each object; a dot goes deeper: {message.header.tag}; "
            "\\t is a tab.",
        ),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=_keep,
            expose_value=False,
            envvar="FFD_NAMESPACE",
            show_envvar=True,
            help="The namespace to work in.",
        ),
    ] = None,
    socket: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            callback=_keep,
            expose_value=False,
            envvar="FFD_SOCKET",
            show_envvar=True,
            help="The daemon's socket.",
        ),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", callback=_keep, expose_value=False, help="Say nothing on stderr but errors."),
    ] = False,
    color: Annotated[
        Color | None,
        typer.Option(
            metavar="WHEN",
            callback=_keep,
            expose_value=False,
            help="Use colour: auto (on a terminal, unless NO_COLOR is set), always or never.",
        ),
    ] = None,
) -> None:
    """The common options: never called, only read by `common_options`."""


@cache
def common_options() -> list[Parameter]:
    """The parameters that every command has."""
    shelf = typer.Typer(add_completion=False)
    shelf.command()(_options)
    return list(get_command(shelf).params)


@dataclass(frozen=True)
class _Cheap(RuntimeParam):
    """Checks a value without pydantic."""

    check: Callable[[Any], Any]

    def _coerce_value(self, value: Any, param: Any, ctx: Context) -> Any:
        try:
            return self.check(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from None


def _cheapen(param: Any) -> None:
    """Replace the check of a parameter that is a text, a whole number, a choice or a list of texts."""
    descriptor = getattr(param, "type_descriptor", None)
    if descriptor is None:
        return
    check: Callable[[Any], Any] | None = None
    if descriptor.choices:
        check = _one_of(tuple(map(str, descriptor.choices)))
    elif descriptor.annotation is str:
        check = _text
    elif descriptor.annotation == list[str]:
        check = _texts
    elif descriptor.annotation is bool:
        check = bool
    elif descriptor.annotation is int:
        check = _whole_number(param.min, param.max)
    if check:
        param._runtime_param = _Cheap(OptionInfo(), descriptor.annotation, check)


def _text(value: str) -> str:
    # An argument that is not UTF-8 arrives with lone surrogates, which no JSON can carry.
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("it is not UTF-8")
    return value


def _texts(values: Any) -> list[str]:
    return [_text(value) for value in values]


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        return value

    return check


def _whole_number(low: float | None, high: float | None) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a whole number") from None
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError(f"{number} is not in range: {_bounds(low, high)}")
        return number

    return check


class _Completion(ShellComplete):
    """Typer's search for what can stand there; its own shells would import Rich to print it."""

    def source_vars(self) -> dict[str, Any]:
        return {}

    def get_completion_args(self) -> tuple[list[str], str]:
        return [], ""

    def format_completion(self, item: CompletionItem) -> str:
        return str(item.value)
