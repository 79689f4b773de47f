"""The rules of the TCP door, made of what is configured and of the files that it names."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from ffd.api.credentials import FILE_BYTES_MAX, Credentials, parse_passwords, parse_tokens
from ffd.api.doorkeeper import NO_TRUST, Rules
from ffd.api.origins import Sites
from ffd.daemon.http import HttpConfig
from ffd.model.errors import Broken, Invalid
from ffd.model.origin import host_of, normal_origin
from ffd.world import World


async def load_rules(config: HttpConfig, world: World) -> Rules:
    """The rules as they are now on disk. Raises Broken FFD1401; Invalid FFD1402, FFD1403, FFD1404; Full."""
    authorities = await _read(world, config.client_ca_file, secret=False)
    tokens = await _read(world, config.tokens_file, secret=True)
    passwords = await _read(world, config.passwords_file, secret=True)
    credentials = None
    if config.tokens_file or config.passwords_file:
        credentials = Credentials(
            world, parse_tokens(tokens, config.tokens_file), parse_passwords(passwords, config.passwords_file)
        )
    context = None
    if config.certificate_file:
        authority = Path(config.client_ca_file) if config.client_ca_file else None
        try:
            context = await world.tls_context(Path(config.certificate_file), Path(config.key_file), authority)
        except OSError as error:
            raise _unreadable(str(error.filename or config.certificate_file), error) from error
    hosts = frozenset(filter(None, map(host_of, config.hosts)))
    origins = frozenset(filter(None, map(normal_origin, config.cors_origins)))
    trust = sha256(authorities.encode()).digest() if config.client_ca_file else NO_TRUST
    return Rules(context, credentials, trust, Sites(hosts, origins))


async def _read(world: World, file: str, *, secret: bool) -> str:
    """The text of a file; nothing when none is named."""
    if not file:
        return ""
    try:
        return (await world.read_guarded(Path(file), bytes_max=FILE_BYTES_MAX, secret=secret)).decode()
    except OSError as error:
        raise _unreadable(file, error) from error
    except UnicodeDecodeError as error:
        raise Invalid("FFD1402", f"{file} is not text in UTF-8 at byte {error.start}: write it anew") from None


def _unreadable(file: str, error: OSError) -> Broken:
    return Broken("FFD1401", f"{file} cannot be read ({error.strerror}): make it there, readable for this user alone")
