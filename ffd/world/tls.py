"""What TLS needs: for doors that anybody may come to, and between peers that know each other's certificates."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from ffd.model.errors import Invalid
from ffd.world.files import check_guarded


def tls_context(certificate: Path, key: Path, client_ca: Path | None) -> ssl.SSLContext:
    """See `World.tls_context`."""
    for path, secret in ((certificate, False), (key, True), (client_ca, False)):
        if path is not None:
            check_guarded(path, path.stat(), secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # never asked for on the terminal
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except ssl.SSLError as error:
        named = f"{certificate} and {key}" + (f", with {client_ca}," if client_ca else "")
        raise _unfit(named, "a certificate, its key without a password, and authorities", error) from error
    return context


def mutual_tls(certificate: Path, key: Path, trusted: Sequence[bytes], listening: bool) -> ssl.SSLContext:
    """See `World.mutual_tls`."""
    for path, secret in ((certificate, False), (key, True)):
        check_guarded(path, path.stat(), secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if listening else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    # A certificate is trusted by itself, whoever signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if trusted:
        context.load_verify_locations(cadata=b"".join(trusted))
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise _unfit(f"{certificate} and {key}", "a certificate and its key without a password", error) from error
    return context


def _unfit(named: str, what: str, error: ssl.SSLError) -> Invalid:
    reason = (error.reason or "unreadable").lower().replace("_", " ")
    return Invalid("FFD1404", f"{named} are not {what}, in PEM ({reason}): name those that belong together")
