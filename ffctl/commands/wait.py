"""`ffctl wait`: until something is so."""

import time
from typing import TYPE_CHECKING

import typer

from ffctl.failure import BLOCKED, TIMED_OUT, UNREACHABLE, Failure
from ffctl.options import Timeout, seconds
from ffctl.output import show
from ffctl.plain import decode
from ffctl.settings import client_of, settings_of
from ffctl.tree import examples
from ffctl.views import READY

if TYPE_CHECKING:
    from ffctl.client import Client

app = typer.Typer(add_completion=False, rich_markup_mode=None)

PAUSE_S = 0.05


@app.callback()
def wait() -> None:
    """Wait until something is so."""


@app.command("ready", epilog=examples("ffd & ffctl wait ready --timeout 10s && ffctl broadcast hello"))
def wait_ready(ctx: typer.Context, timeout: Timeout = "30s") -> None:
    """Wait until the node answers and is ready.

    Exit 6 when it is not in time.
    """
    settings = settings_of(ctx)
    limit = seconds(timeout, "--timeout")
    end = time.monotonic() + limit
    while True:
        ready, said = _look(client_of(ctx))
        if ready:
            show(settings, said, READY)
            return
        if time.monotonic() >= end:
            hint = "start one with `ffd`, or see `ffctl status` and the daemon's log"
            raise Failure(TIMED_OUT, "FFD6005", f"not ready after {limit:g} s: {_reason(said)}", hint)
        time.sleep(min(PAUSE_S, max(0.0, end - time.monotonic())))


def _look(client: "Client") -> tuple[bool, bytes]:
    try:
        return client.ready()
    except Failure as failure:
        if failure.exit_code not in (UNREACHABLE, TIMED_OUT, BLOCKED) or failure.code == "FFD6003":
            raise
        return False, failure.text.encode()


def _reason(said: bytes) -> str:
    """Why not, from the daemon's answer or the failure to get one."""
    try:
        reasons = decode(said)["reasons"]
    except (ValueError, KeyError, TypeError):
        return said.decode("utf-8", "replace")
    return "; ".join(map(str, reasons))
