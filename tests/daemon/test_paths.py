"""Where a node keeps its state and listens when nothing says otherwise."""

import os
from collections.abc import Mapping

import pytest

from ffctl.settings import default_socket
from ffd.daemon.paths import socket_path, state_dir

SOCKETS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "a system service": ({"RUNTIME_DIRECTORY": "/run/ffd"}, "/run/ffd/ffd.sock"),
    "the first of several": ({"RUNTIME_DIRECTORY": "/run/ffd:/run/other"}, "/run/ffd/ffd.sock"),
    "a user": ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/ffd/ffd.sock"),
    "nothing at all": ({}, f"/tmp/ffd-{os.getuid()}/ffd.sock"),
}


@pytest.mark.parametrize(("environ", "path"), SOCKETS.values(), ids=SOCKETS)
def test_daemon_and_ffctl_meet_at_the_same_socket(
    environ: Mapping[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FFD_SOCKET", "XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert str(socket_path(environ)) == path
    assert default_socket() == path


def test_state_is_in_the_services_or_the_users_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(state_dir({"STATE_DIRECTORY": "/var/lib/ffd", "XDG_STATE_HOME": "/x"})) == "/var/lib/ffd"
    assert str(state_dir({"XDG_STATE_HOME": "/home/u/.state"})) == "/home/u/.state/ffd"
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/u")
    assert str(state_dir({})) == "/home/u/.local/state/ffd"
