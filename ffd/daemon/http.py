"""The TCP door as it is configured: where it listens, and what has to hold before anybody may come through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from ffd.daemon import settings as key
from ffd.daemon.reading import Reading
from ffd.model.origin import host_of, is_loopback, normal_origin


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """The door for HTTP and WebSockets over TCP, beside the socket. Its files are absolute once it is complete."""

    address: str = key.text("", "the IP address to listen on; none: there is no TCP door", shown="none")
    port: int = key.count(
        5000,
        "the port to listen on; 0 is any free one, which the log and the status name",
        unit="",
        least=0,
        most=65_535,
    )
    certificate_file: str = key.text(
        "", "the certificate for TLS, and those between it and its authority, in PEM", shown="none"
    )
    key_file: str = key.text("", "the certificate's key, in PEM, without a password", shown="none")
    client_ca_file: str = key.text(
        "", "the authorities, in PEM, who may sign a client's certificate; with it a client needs nothing else",
        shown="none",
    )  # fmt: skip
    tokens_file: str = key.text(
        "", "the bearer tokens that are let in, a line each: NAME TOKEN [NAMESPACE,NAMESPACE]", shown="none"
    )
    passwords_file: str = key.text("", "the users whose passwords are let in, as htpasswd -B writes them", shown="none")
    hosts: tuple[str, ...] = key.texts(
        "names by which clients reach this node, beside localhost and the address they connect to", shown="none"
    )
    cors_origins: tuple[str, ...] = key.texts(
        "web pages that may use this node from a browser, such as https://app.example.com", shown="none"
    )
    open_loopback: bool = key.switch(
        False,
        "on a loopback address, ask for no TLS, and for no credentials unless some are set: every user and program of "
        "this machine may come in",
    )


def completed(config: HttpConfig, environ: Mapping[str, str], state_dir: str) -> HttpConfig:
    """With its files found: in the folder of the service manager's credentials if there is one, else in the state."""
    home = Path(environ.get("CREDENTIALS_DIRECTORY") or state_dir)

    def found(file: str) -> str:
        return str(home / Path(file).expanduser()) if file else ""

    return replace(
        config,
        certificate_file=found(config.certificate_file),
        key_file=found(config.key_file),
        client_ca_file=found(config.client_ca_file),
        tokens_file=found(config.tokens_file),
        passwords_file=found(config.passwords_file),
    )


def check_http(config: HttpConfig, reading: Reading) -> None:
    """What no key shows by itself."""
    if bool(config.certificate_file) != bool(config.key_file):
        reading.fault(("http", "certificate_file"), "a certificate and its key_file are only of use together: set both")
    if config.client_ca_file and not config.certificate_file:
        reading.fault(("http", "client_ca_file"), "client certificates are a part of TLS: set certificate_file too")
    for host in config.hosts:
        if host_of(host) is None or ":" in host.partition("]")[2] or (":" in host and "[" not in host):
            reading.fault(("http", "hosts"), f"{host!r} is not a name or an address, without a port: write one")
    for origin in config.cors_origins:
        if normal_origin(origin) is None:
            reading.fault(
                ("http", "cors_origins"),
                f"{origin!r} is not an origin: write one such as https://app.example.com, without a path; there is no "
                "word for all of them, since their pages would have the rights of whoever looks at them",
            )
    if config.address:
        _check_address(config, reading)


def _check_address(config: HttpConfig, reading: Reading) -> None:
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
    is_open = is_loopback(address) and config.open_loopback
    if is_open:
        return ""
    if not config.certificate_file:
        if is_loopback(address):
            return f"without TLS every program of this machine could come in at {address}: set http.open_loopback if so"
        return (
            f"{address} is not a loopback address, and other machines are spoken to in TLS only: set certificate_file"
        )
    if not (config.tokens_file or config.passwords_file or config.client_ca_file):
        return f"nobody could be let in at {address}: set tokens_file, passwords_file or client_ca_file"
    return ""
