"""The service manager's protocol, sd_notify(3), sd_listen_fds(3) and sd_watchdog_enabled(3), in plain sockets.

Outside of systemd nobody listens, and every call here does nothing.
"""

import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import trio

_log = logging.getLogger(__name__)

LISTEN_FDS_START = 3
SEND_S = 0.25
"""How long a full queue at the service manager may hold us up."""


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Who started us and wants to hear how it goes; `watchdog_s` is None unless it wants a sign of life that often."""

    address: str | None = None
    watchdog_s: float | None = None

    def ready(self, status: str) -> None:
        """Everything listens; also the end of a reload."""
        self._say("READY=1", _status(status))

    def status(self, status: str) -> None:
        """What we do right now, for `systemctl status`."""
        self._say(_status(status))

    def reloading(self) -> None:
        """A reload has begun. systemd takes the time to tell this notice's READY from an older one."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str, *, within_s: float) -> None:
        """A stop has begun, and may last that long however short the manager's own patience is."""
        self._say("STOPPING=1", _status(status), f"EXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}")

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if self.address is None:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
                end.settimeout(SEND_S)
                end.sendto("\n".join(lines).encode(), address)
        except OSError as wrong:
            _log.warning("the service manager does not hear us", extra={"address": self.address, "cause": str(wrong)})


def service_manager(environ: Mapping[str, str], *, pid: int) -> ServiceManager:
    """The manager that the environment names; one that hears nothing if there is none, or it means another process."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return ServiceManager()
    interval = environ.get("WATCHDOG_USEC", "")
    for_us = environ.get("WATCHDOG_PID") in (None, "", str(pid))
    wanted = for_us and interval.isascii() and interval.isdigit() and int(interval) > 0
    return ServiceManager(address, int(interval) / 1_000_000 if wanted else None)


def listen_fds(environ: Mapping[str, str], *, pid: int) -> list[tuple[str, int]]:
    """The sockets that the manager listens on for us: name and file descriptor, in its order; not inherited further."""
    number = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not (number.isascii() and number.isdigit()):
        return []
    given = environ.get("LISTEN_FDNAMES", "")
    names = given.split(":") if given else []
    sockets = []
    for position in range(int(number)):
        fd = LISTEN_FDS_START + position
        os.set_inheritable(fd, False)
        sockets.append((names[position] if position < len(names) else "unknown", fd))
    return sockets


async def run_watchdog(manager: ServiceManager, check_alive: Callable[[], Awaitable[object]]) -> NoReturn:
    """Give a sign of life twice an interval for as long as `check_alive` returns, until cancelled.

    `check_alive` does a turn of the real work, such as an empty write: a heartbeat that only proves that there is a
    process proves nothing. While it hangs there is no sign, and the manager starts us again.
    """
    if manager.watchdog_s is None:
        await trio.sleep_forever()
    while True:
        await check_alive()
        manager.alive()
        await trio.sleep(manager.watchdog_s / 2)


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())
