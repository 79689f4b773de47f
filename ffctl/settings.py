"""What every command is told alike: the socket, the namespace, and how to print. Built from the common options."""

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from ffctl.failure import usage

if TYPE_CHECKING:
    from ffctl.client import Client

Output = Literal["table", "json", "ndjson", "yaml", "id"]
Color = Literal["auto", "always", "never"]


@dataclass(slots=True)
class Settings:
    """The common options of one run, as given on the command line; the properties say what follows from them."""

    output: Output | None = None
    format: str | None = None
    namespace: str = "default"
    socket: str | None = None
    quiet: bool = False
    color: Color = "auto"

    @property
    def shape(self) -> Output:
        """The output that applies: a table unless another was asked for."""
        if self.output and self.format:
            raise usage("-o and --format exclude one another", "drop one of the two")
        return self.output or "table"

    @property
    def path(self) -> str:
        """The daemon's socket."""
        return self.socket or default_socket()

    @property
    def talks_to_person(self) -> bool:
        """Whether progress may be drawn on stderr."""
        return not self.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def colors(self, stream: Any) -> bool:
        """Whether `stream` gets colour: a terminal does, unless `NO_COLOR`, `TERM=dumb` or `--color` say otherwise."""
        if self.color != "auto":
            return self.color == "always"
        return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def settings_of(ctx: Any) -> Settings:
    """The run's settings, from a Typer context."""
    return cast(Settings, ctx.find_root().obj)


def client_of(ctx: Any) -> "Client":
    """The client of this run, from a Typer context; loaded here, since HTTP is not needed for help or mistakes."""
    from ffctl.client import Client

    settings = settings_of(ctx)
    if not settings.namespace:
        raise usage("the namespace is empty", "leave --namespace out for `default`")
    return Client(settings.path, settings.namespace)


def default_socket() -> str:
    """`$FFD_SOCKET`, else where an ffd of this user listens, else (if only that one is there) the system's ffd."""
    if given := os.environ.get("FFD_SOCKET"):
        return given
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        mine = f"{runtime}/ffd/ffd.sock"
    elif service := os.environ.get("RUNTIME_DIRECTORY"):
        mine = f"{service.partition(':')[0]}/ffd.sock"
    else:
        mine = f"/tmp/ffd-{os.getuid()}/ffd.sock"  # noqa: S108  the daemon makes it with mode 0700 and checks its owner
    system = "/run/ffd/ffd.sock"
    return system if not os.path.exists(mine) and os.path.exists(system) else mine
