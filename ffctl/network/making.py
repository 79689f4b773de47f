"""`ffctl network init`: keys, certificates and configurations of all members, and a place for what they share.

All of it is made beside the folder and renamed into its place, on disk: a network is there whole or not at all.
"""

import json
import os
import shutil
import socket
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from ffctl.failure import FAILED, Failure
from ffctl.network.certificates import certificate, signing_key
from ffctl.network.plan import PLAN, Member, Network, taken
from ffctl.network.units import unit_text

FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Among these a network's ports are chosen: below those that Linux gives to whoever asks for any."""
ADDRESS = "127.0.0.1"

CONFIG = """\
# Member {name} of the network {network}, made by `ffctl network init`. ffd.toml(5) says what else can be set.
state_dir = {state}

[node]
name = {quoted}

[org]
name = {quoted}

[socket]
path = {socket}

[namespaces.default]
ledger = "shared"
storage = "shared"
exchange = "peers"
register = true

[ledgers.shared]
plugin = "file"
options.path = {ledger}

[storages.shared]
plugin = "directory"
options.path = {storage}

[exchanges.peers]
plugin = "https"
options.address = "{address}"
options.port = {port}
options.certificate_file = {certificate}
options.key_file = {key}
"""
HTTP = """
[http]
address = "{address}"
port = {port}
open_loopback = true
"""


def make(network: Network) -> None:
    """Write the network's folder; `Failure` 4 when something is in its place, 1 when it cannot be written."""
    folder = network.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise taken(folder)
    scratch = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        _fill(scratch, network)
        scratch.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        text = f"{error.filename or folder} cannot be written: {error.strerror}"
        raise Failure(FAILED, "FFD6015", text, "choose another folder, or make room") from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _fill(root: Path, network: Network) -> None:
    _folder(root / "shared")
    for member in network.members:
        _write(root / member.name / "state" / "keys" / "org.pem", signing_key())
        key, proof = certificate(member.name, ADDRESS)
        _write(root / member.name / "tls" / "key.pem", key)
        _write(root / member.name / "tls" / "certificate.pem", proof)
        _write(root / member.name / member.config.name, config_text(network, member).encode())
        _write(root / member.name / member.unit, unit_text(member).encode())
    _write(root / PLAN, network.text().encode())


def config_text(network: Network, member: Member) -> str:
    """What a member's ffd is told."""
    text = CONFIG.format(
        name=member.name,
        network=network.name,
        quoted=_text(member.name),
        state=_text(member.state),
        socket=_text(member.socket),
        ledger=_text(network.shared / "ledger.db"),
        storage=_text(network.shared / "storage"),
        address=ADDRESS,
        port=member.exchange_port,
        certificate=_text(member.folder / "tls" / "certificate.pem"),
        key=_text(member.folder / "tls" / "key.pem"),
    )
    return text + (HTTP.format(address=ADDRESS, port=member.http_port) if member.http_port is not None else "")


def _text(value: object) -> str:
    """A text of TOML, whose escapes are those of JSON."""
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _write(path: Path, content: bytes) -> None:
    """A file that only this user reads, on disk."""
    _folder(path.parent)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _folder(path: Path) -> None:
    """A folder that only this user reads, and those above it: `parents=True` would leave these to the umask."""
    if not path.exists():
        _folder(path.parent)
        path.mkdir(mode=0o700)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def free_ports(folder: Path, count: int) -> int:
    """The first of `count` ports in a row that nobody listens on now; for another folder most likely others.

    A network that is down must not lose its ports to one that is made meanwhile, so they come from the folder's path.
    """
    width = (LAST_PORT - FIRST_PORT) // count
    first = zlib.crc32(os.fsencode(os.path.abspath(folder))) % width
    for step in range(width):
        port = FIRST_PORT + (first + step) % width * count
        if all(_is_free(port + at) for at in range(count)):
            return port
    raise Failure(FAILED, "FFD6015", "no ports are free for the members", "name the first one with --port")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        with suppress(OSError):
            probe.bind((ADDRESS, port))
            return True
        return False
