"""The TCP door as it is configured: where it listens, and what has to hold before anybody may come through it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from ffd.daemon import settings as key
from ffd.daemon.reading import Reading


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """The door for HTTP and WebSockets over TCP, beside the socket."""

    address: str = key.text("", "the IP address to listen on; none: there is no TCP door", shown="none")
    port: int = key.count(5000, "the port to listen on; 0 is any free one, which the log and the status name", unit="",
                          least=0, most=65_535)  # fmt: skip
    open_loopback: bool = key.switch(
        False, "on a loopback address, ask for no TLS: every user and program of this machine may come in"
    )


def is_loopback(address: str) -> bool:
    """Is this IP address one that only this machine can reach?"""
    found = ip_address(address)
    inner = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (inner or found).is_loopback


def check_http(config: HttpConfig, reading: Reading) -> None:
    """What no key shows by itself."""
    if not config.address:
        return
    try:
        ip_address(config.address)
    except ValueError:
        reading.fault(
            ("http", "address"), f"{config.address!r} is not an IP address: write one, such as 127.0.0.1 or ::1"
        )
        return
    if fault := exposed(config, config.address):
        reading.fault(("http", "address"), fault)


def exposed(config: HttpConfig, address: str) -> str:
    """Why nobody may listen at this address as it is configured; empty when one may."""
    if not is_loopback(address):
        return f"{address} is not a loopback address, and other machines are only spoken to with TLS"
    if not config.open_loopback:
        return f"without TLS every program of this machine could come in at {address}: set http.open_loopback if so"
    return ""
