"""What the service manager hears, over a real socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from ffd.daemon.notify import ServiceManager, listen_fds, run_watchdog, service_manager


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._end.bind("\0" + address[1:] if address.startswith("@") else address)
        self.address = address

    def heard(self) -> list[list[str]]:
        notices = []
        while True:
            try:
                notices.append(self._end.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return notices

    def close(self) -> None:
        self._end.close()


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    manager = Systemd(str(tmp_path / "notify") if request.param == "file" else f"@ffd-test-{os.getpid()}")
    yield manager
    manager.close()


def test_a_life_is_told_from_start_to_stop(systemd: Systemd) -> None:
    manager = service_manager({"NOTIFY_SOCKET": systemd.address}, pid=1)
    manager.ready("ready:\n1 namespace")
    manager.status("replaying")
    manager.reloading()
    manager.stopping("draining", within_s=10)
    ready, status, reloading, stopping = systemd.heard()
    assert ready == ["READY=1", "STATUS=ready: 1 namespace"]
    assert status == ["STATUS=replaying"]
    assert reloading[0] == "RELOADING=1"
    assert reloading[1].startswith("MONOTONIC_USEC=")
    assert reloading[1][15:].isdigit()
    assert stopping == ["STOPPING=1", "STATUS=draining", "EXTEND_TIMEOUT_USEC=10000000"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_a_manager_nothing_is_told(environ: dict[str, str]) -> None:
    manager = service_manager(environ, pid=1)
    assert manager == ServiceManager()
    manager.ready("ready")


def test_a_manager_that_is_gone_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ServiceManager(str(tmp_path / "gone")).ready("ready")
    assert "the service manager does not hear us" in caplog.text


WATCHDOGS = {
    "every 10 s": ({"WATCHDOG_USEC": "10000000"}, 10.0),
    "for us": ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "7"}, 10.0),
    "for another": ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "8"}, None),
    "off": ({"WATCHDOG_USEC": "0"}, None),
    "nonsense": ({"WATCHDOG_USEC": "soon"}, None),
    "none": ({}, None),
}


@pytest.mark.parametrize(("environ", "interval_s"), WATCHDOGS.values(), ids=WATCHDOGS)
def test_the_watchdog_is_wanted_as_often_as_the_manager_says(environ: dict[str, str], interval_s: float | None) -> None:
    assert service_manager({"NOTIFY_SOCKET": "/x", **environ}, pid=7).watchdog_s == interval_s


async def test_signs_of_life_stop_when_the_work_hangs(systemd: Systemd, autojump_clock: MockClock) -> None:
    hangs_at = trio.current_time() + 21

    async def work() -> None:
        if trio.current_time() > hangs_at:
            await trio.sleep_forever()

    with trio.move_on_after(100):
        await run_watchdog(ServiceManager(systemd.address, watchdog_s=10), work)
    assert systemd.heard() == [["WATCHDOG=1"]] * 5  # at 0, 5, 10, 15, 20


async def test_nobody_wants_signs_of_life_without_a_watchdog(systemd: Systemd, autojump_clock: MockClock) -> None:
    with trio.move_on_after(100):
        await run_watchdog(ServiceManager(systemd.address), trio.lowlevel.checkpoint)
    assert systemd.heard() == []


def test_sockets_of_the_manager_come_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        fds = sorted((first.fileno(), second.fileno()))
        if fds[1] != fds[0] + 1:
            second.close()
            fds = [fds[0]]
        os.set_inheritable(fds[0], True)
        monkeypatch.setattr("ffd.daemon.notify.LISTEN_FDS_START", fds[0])
        environ = {"LISTEN_PID": "7", "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": "ffd"}
        assert listen_fds(environ, pid=7) == list(zip(["ffd", "unknown"], fds, strict=False))
        assert not os.get_inheritable(fds[0])


@pytest.mark.parametrize(
    "environ", [{}, {"LISTEN_PID": "8", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "x"}]
)
def test_sockets_meant_for_others_are_left_alone(environ: dict[str, str]) -> None:
    assert listen_fds(environ, pid=7) == []
