"""Where a node says that it can be reached."""

import socket
from pathlib import Path

import trio

from ffd.daemon.doors import address_of


async def test_a_socket_is_named_by_what_it_is_bound_to_and_not_by_what_was_asked_for(tmp_path: Path) -> None:
    name = str(tmp_path / "s")
    for family, address, shown in (
        (socket.AF_UNIX, name, name),
        (socket.AF_UNIX, f"\0ffd-{tmp_path.name}", f"@ffd-{tmp_path.name}"),
        (socket.AF_INET, ("127.0.0.1", 0), "127.0.0.1:"),
        (socket.AF_INET6, ("::1", 0), "[::1]:"),
    ):
        with trio.socket.socket(family) as bound:
            await bound.bind(address)
            bound.listen()
            assert address_of(trio.SocketListener(bound)).startswith(shown)
