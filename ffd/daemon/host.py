"""The process around a node: signals, the service manager, reloads, and the deadline of a stop."""

import logging
import os
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Protocol

import trio

from ffd.daemon.config import Config, at_next_start
from ffd.daemon.logs import set_level
from ffd.daemon.notify import ServiceManager, run_watchdog, service_manager
from ffd.model.errors import Invalid

_log = logging.getLogger(__name__)

GRACE_S = 1.0
"""What a cancelled node has for its clean-up before the process ends under it. What is accepted is on disk by then."""
EXIT_CUT = 3
"""The exit code of a stop that did not wait for everything to be drained."""


class Ready(Protocol):
    """What a node calls as soon as everything listens, and again when its state in one line changes.

    `check_alive` does a turn of the real work; while it returns, the service manager's watchdog is kept content.
    """

    def __call__(self, status: str, check_alive: Callable[[], Awaitable[object]] | None = None) -> None: ...


class Node(Protocol):
    """What is run: until `stop` is set it works, then it drains and returns; each of `reload` is to be taken over."""

    async def __call__(self, *, stop: trio.Event, ready: Ready, reload: trio.MemoryReceiveChannel[Config]) -> None: ...


async def run_hosted(node: Node, config: Config, load: Callable[[], Config], environ: Mapping[str, str]) -> bool:
    """Run a node until it ends or is told to stop; says whether it came to its end by itself, drained.

    The first SIGTERM or SIGINT asks it to stop within `timeouts.stop_s`, a second one stops it now, SIGHUP reloads.
    """
    _allow_descriptors()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            host = _Host(config, load, service_manager(environ, pid=os.getpid()), nursery)
            nursery.start_soon(host.attend, signals)
            with host.work:
                await node(stop=host.stop, ready=host.ready, reload=host.reloads)
            nursery.cancel_scope.cancel()
    return not host.work.cancelled_caught


def _allow_descriptors() -> None:
    """As many open files as this user may have: what a shell grants is for programs that wait with select(2)."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class _Host:
    """One node's process."""

    def __init__(
        self, config: Config, load: Callable[[], Config], manager: ServiceManager, nursery: trio.Nursery
    ) -> None:
        self.stop = trio.Event()
        self.work = trio.CancelScope()
        # The newest configuration is all that counts: one that was not taken yet is replaced.
        self._offer, self.reloads = trio.open_memory_channel[Config](1)
        self._config = config
        self._started = config
        self._load = load
        self._manager = manager
        self._nursery = nursery
        self._status: str | None = None

    def ready(self, status: str, check_alive: Callable[[], Awaitable[object]] | None = None) -> None:
        """Tell the service manager that the node is ready, or what it does."""
        if self._status is None:
            self._manager.ready(status)
            _log.info("ready: %s", status)
            if check_alive is not None:
                self._nursery.start_soon(run_watchdog, self._manager, check_alive)
        else:
            self._manager.status(status)
        self._status = status

    async def attend(self, signals: AsyncIterator[int]) -> None:
        """Do what each signal asks for."""
        async for number in signals:
            name = signal.Signals(number).name
            if number == signal.SIGHUP:
                self._reload()
            elif not self.stop.is_set():
                stop_s = self._config.timeouts.stop_s
                _log.info("%s: stopping within %g s; a second one stops now", name, stop_s)
                self._manager.stopping("draining", within_s=stop_s + GRACE_S)
                self.stop.set()
                self.work.deadline = trio.current_time() + stop_s
                self._nursery.start_soon(self._end_after, stop_s)
            else:
                _log.warning("%s again: stopping now", name)
                self.work.cancel()
                self._nursery.start_soon(self._end_after, 0)

    async def _end_after(self, stop_s: float) -> None:
        """The last resort, for a thread that hangs in a dead disk: it would hold up a cancelled node for ever."""
        await trio.sleep(stop_s + GRACE_S)
        _log.error("not stopped in time: ending the process; what was accepted is on disk")
        os._exit(EXIT_CUT)

    def _reload(self) -> None:
        if self._status is None or self.stop.is_set():
            _log.warning("SIGHUP: nothing to reload while starting or stopping")
            return
        self._manager.reloading()
        try:
            self._take(self._load())
        except Invalid as wrong:
            for line in wrong.text.splitlines():
                _log.error("not reloaded: %s", line)
        self._manager.ready(self._status)

    def _take(self, config: Config) -> None:
        set_level(config.log.level)
        later = at_next_start(self._started, config)
        self._config = config
        with suppress(trio.WouldBlock):
            self.reloads.receive_nowait()
        self._offer.send_nowait(config)
        _log.info("reloaded")
        if later:
            _log.warning("only the next start takes over %s", ", ".join(later))
