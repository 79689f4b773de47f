"""Certificates of an exchange: the node's own, made at its first start, and those that peers have registered."""

from __future__ import annotations

import datetime
import ipaddress
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ffd.model.errors import Broken, Invalid
from ffd.world import World

log = logging.getLogger(__name__)

PEM_BYTES_MAX = 64 * 1024
VALID_DAYS = 3650
ENDS_SOON, NOTHING = datetime.timedelta(days=30), datetime.timedelta()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
LOCK_LOOK_S = 0.05
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]{1,65536}-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Files:
    """Where a node's own certificate is, its key, and the certificate that will follow it."""

    certificate: Path
    key: Path
    next: Path


@dataclass(frozen=True, slots=True)
class Own:
    """What a node proves itself with: `name` among its peers, and `texts`, what it publishes, in PEM."""

    name: str
    texts: str


def read_own(world: World, files: Files, before: Own | None = None) -> Own:
    """What is on disk now; `before` is what was. Raises Invalid FFD4408, FFD4409."""
    first, *others = [_text(world, path).strip() for path in (files.certificate, files.next)]
    texts = "\n".join(filter(None, [first, *others])) + "\n"
    if before is not None and before.texts == texts:
        return before
    found = certificates(first)
    if not found:
        raise Invalid("FFD4408", f"{files.certificate} holds no certificate in PEM that can be read: restore it")
    _warn_of_end(world, files.certificate, found[0])
    return Own(peer_name(found[0], str(files.certificate)), texts)


def _warn_of_end(world: World, path: Path, certificate: bytes) -> None:
    """Say in time that peers will refuse this node."""
    end = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    left = end - _time(world)
    if left < ENDS_SOON:
        log.warning("%s %s %s: put its successor beside it", path, "ends on" if left > NOTHING else "ended on", end)


def _text(world: World, path: Path) -> str:
    content = world.read_now(path, bytes_max=PEM_BYTES_MAX)
    return "" if content is None else content.decode("utf-8", "replace")


def certificates(text: str) -> tuple[bytes, ...]:
    """The certificates in a text (DER). What cannot be read is left out: one peer must not spoil it for the others."""
    return _certificates(text[:PEM_BYTES_MAX])


@lru_cache(maxsize=256)
def _certificates(text: str) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for pem in _PEM.findall(text):
        try:
            found.append(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER))
        except ValueError:
            continue
    return tuple(found)


def certificates_of(texts: Iterable[str]) -> tuple[bytes, ...]:
    """All certificates in several texts, each once, in the same order whatever theirs is."""
    return tuple(sorted({each for text in texts for each in certificates(text)}))


def peer_name(certificate: bytes, where: str) -> str:
    """What a certificate calls its owner: the subject's `O`, `O-OU` or `OU` (FireFly reference 6.6).

    Raises Invalid FFD4409 when it has neither.
    """
    subject = x509.load_der_x509_certificate(certificate).subject
    parts = [
        str(subject.get_attributes_for_oid(kind)[0].value)
        for kind in (NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)
        if subject.get_attributes_for_oid(kind)
    ]
    if not parts:
        raise Invalid("FFD4409", f"the certificate of {where} names no organisation: its subject needs O, or O and OU")
    return "-".join(parts)


async def ensure_own(world: World, files: Files, *, org: str, node: str, host: str) -> None:
    """Make a certificate and its key at the first start. Raises Broken FFD4410 when one of them is there alone."""
    world.make_directory(files.certificate.parent)
    # The holder may be another process of this node, which nobody here can wait for.
    lock_path = files.key.with_name(files.key.name + ".lock")
    while (lock := world.try_lock(lock_path)) is None:  # noqa: ASYNC110
        await trio.sleep(LOCK_LOOK_S)
    try:
        there = [world.file_identity(path) is not None for path in (files.certificate, files.key)]
        if any(there) and not all(there):
            missing = files.key if there[0] else files.certificate
            raise Broken(
                "FFD4410", f"{missing} is not there, and what belongs to it is: restore it, or remove the other one too"
            )
        if not any(there):
            certificate, key = make(world, org=org, node=node, host=host)
            await world.write_file(files.key, key)
            await world.write_file(files.certificate, certificate)
    finally:
        lock.release()


def make(world: World, *, org: str, node: str, host: str) -> tuple[bytes, bytes]:
    """A new certificate that is signed by itself, and its key, both in PEM.

    FireFly's own exchange looks for `host` among the names in it; ffd looks for the certificate in the node's profile.
    """
    secret = int.from_bytes(world.entropy(40)) % (P256_ORDER - 1) + 1
    key = ec.derive_private_key(secret, ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, host[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, org),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, node),
        ]
    )
    now = _time(world)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(world.entropy(16)) | 1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    secret_text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret_text


def _time(world: World) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(world.now() // 1_000_000_000, datetime.UTC)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
