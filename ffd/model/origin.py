"""Names of machines and origins of web pages, each in one spelling."""

import re
from ipaddress import IPv6Address, ip_address

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_PORTS = {"http": "80", "https": "443"}


def host_of(value: str) -> str | None:
    """The host that a Host header names, in one spelling and without its port; None if it names none."""
    found = _HOST.fullmatch(value)
    return None if found is None else spelling(found[1])


def spelling(host: str) -> str:
    """A name in lower case, an address in its shortest form."""
    name = host.strip("[]").lower().rstrip(".")
    try:
        address = ip_address(name)
    except ValueError:
        return name
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(inner or address)


def is_loopback(address: str) -> bool:
    """Is this IP address one that only this machine can reach?"""
    return ip_address(spelling(address)).is_loopback


def normal_origin(text: str) -> str | None:
    """An origin as browsers send it (RFC 6454 6.1), without a port that goes without saying; None if it is none."""
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        return None
    scheme, host, port = found.groups()
    return f"{scheme}://{host}" if port in (None, _PORTS[scheme]) else f"{scheme}://{host}:{port}"
