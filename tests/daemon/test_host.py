"""A node's process: signals, the service manager, reloads and the deadline of a stop, with a node that plays along."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from ffd.daemon.config import Config, LogConfig, TimeoutsConfig
from ffd.daemon.host import EXIT_CUT, Ready, run_hosted
from ffd.model.errors import Invalid
from tests.daemon.test_notify import Systemd

CONFIG = Config(timeouts=TimeoutsConfig(stop_s=10))


class Cast:
    """A node that drains in `drain_s`, and what it was told."""

    def __init__(self, systemd: Systemd, drain_s: float = 0) -> None:
        self.systemd = systemd
        self.drain_s = drain_s
        self.at_work = trio.Event()
        self.reloads: list[Config] = []
        self.stopped_after: float | None = None
        self.next: Callable[[], Config] = lambda: CONFIG

    async def node(self, *, stop: trio.Event, ready: Ready, reload: trio.MemoryReceiveChannel[Config]) -> None:
        ready("ready: 1 namespace", trio.lowlevel.checkpoint)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take, reload)
            self.at_work.set()
            await stop.wait()
            began = trio.current_time()
            try:
                await trio.sleep(self.drain_s)
            finally:
                self.stopped_after = trio.current_time() - began
            nursery.cancel_scope.cancel()

    async def _take(self, reload: trio.MemoryReceiveChannel[Config]) -> None:
        async for config in reload:
            self.reloads.append(config)

    async def run(self, *signals: signal.Signals) -> bool:
        """Run the node, send it signals one after another; says whether it drained."""
        environ = {"NOTIFY_SOCKET": self.systemd.address, "WATCHDOG_USEC": "60000000"}
        drained = False

        async def hosted() -> None:
            nonlocal drained
            drained = await run_hosted(self.node, CONFIG, lambda: self.next(), environ)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hosted)
            await self.at_work.wait()
            for number in signals:
                await wait_all_tasks_blocked()
                os.kill(os.getpid(), number)
        return drained

    def told(self) -> list[str]:
        """The first lines of what the service manager heard."""
        return [notice[0] for notice in self.systemd.heard()]


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    manager = Systemd(f"@ffd-host-{os.getpid()}")
    yield manager
    manager.close()


@pytest.fixture(autouse=True)
def _no_real_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> None:
        raise AssertionError(f"the process would have ended with {code}")

    monkeypatch.setattr(os, "_exit", end)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_node_drain(
    systemd: Systemd, autojump_clock: MockClock, number: signal.Signals
) -> None:
    cast = Cast(systemd, drain_s=9)
    assert await cast.run(number)
    assert cast.stopped_after == pytest.approx(9)
    assert [told for told in cast.told() if told != "WATCHDOG=1"] == ["READY=1", "STOPPING=1"]


async def test_a_node_that_does_not_drain_in_time_is_cancelled(systemd: Systemd, autojump_clock: MockClock) -> None:
    cast = Cast(systemd, drain_s=1000)
    assert not await cast.run(signal.SIGTERM)
    assert cast.stopped_after == pytest.approx(10)


async def test_a_second_signal_stops_it_now(systemd: Systemd, autojump_clock: MockClock) -> None:
    cast = Cast(systemd, drain_s=1000)
    assert not await cast.run(signal.SIGTERM, signal.SIGINT)
    assert cast.stopped_after is not None
    assert cast.stopped_after < 1


async def test_a_node_that_fails_ends_the_process_with_its_reason(systemd: Systemd) -> None:
    async def fails(**_: object) -> None:
        raise Invalid("FFD1103", "another daemon listens there")

    with pytest.RaisesGroup(pytest.RaisesExc(Invalid, match="another daemon")):
        await run_hosted(fails, CONFIG, lambda: CONFIG, {})


async def test_a_reload_says_what_it_could_not_take_over(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    cast = Cast(systemd)
    cast.next = lambda: replace(CONFIG, roles=("intake",))
    with caplog.at_level("WARNING"):
        assert await cast.run(signal.SIGHUP, signal.SIGTERM)
    assert "only the next start takes over roles" in caplog.text


async def test_a_reload_is_taken_over_and_told(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    cast = Cast(systemd)
    changed = replace(CONFIG, log=LogConfig(level="error"))
    cast.next = lambda: changed
    assert await cast.run(signal.SIGHUP, signal.SIGTERM)
    assert cast.reloads == [changed]
    assert "only the next start" not in caplog.text
    told = [told for told in cast.told() if told != "WATCHDOG=1"]
    assert told == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


async def test_a_reload_of_something_wrong_changes_nothing(systemd: Systemd, caplog: pytest.LogCaptureFixture) -> None:
    def wrong() -> Config:
        raise Invalid("FFD1001", "ffd.toml:1: x: unknown key\nffd.toml:2: y: unknown key")

    cast = Cast(systemd)
    cast.next = wrong
    assert await cast.run(signal.SIGHUP, signal.SIGTERM)
    assert cast.reloads == []
    assert "not reloaded: ffd.toml:2: y: unknown key" in caplog.text
    assert [told for told in cast.told() if told != "WATCHDOG=1"][1:3] == ["RELOADING=1", "READY=1"]


HANGS = """
import logging, os, signal, threading, trio
from ffd.daemon.config import Config, TimeoutsConfig
from ffd.daemon.host import run_hosted

async def node(*, stop, ready, reload):
    ready("ready")
    os.kill(os.getpid(), signal.SIGTERM)
    await trio.to_thread.run_sync(threading.Event().wait)  # a disk that does not answer

logging.basicConfig(level="INFO")
trio.run(run_hosted, node, Config(timeouts=TimeoutsConfig(stop_s=0.1)), Config, {})
"""


def test_a_thread_that_hangs_cannot_hold_up_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == EXIT_CUT
    assert "not stopped in time" in done.stderr
