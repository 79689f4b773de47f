"""Reading a manifest: which messages a batch carries, and how many of its pins each of them owns."""

from __future__ import annotations

import msgspec

from ffd.model.errors import Broken


class ManifestMessage(msgspec.Struct, frozen=True):
    """A message of a batch: its id and hash in text form, and how many topics, hence pins, it has."""

    id: str
    hash: str
    topics: int

    @property
    def raw_id(self) -> bytes:
        """The 16 bytes of the id."""
        return bytes.fromhex(self.id.replace("-", ""))


class _Manifest(msgspec.Struct, frozen=True):
    messages: list[ManifestMessage]


_MANIFEST = msgspec.json.Decoder(_Manifest)


def manifest_messages(manifest: str) -> list[ManifestMessage]:
    """The messages of a manifest that was verified and stored here, in batch order. Raises Broken."""
    try:
        return _MANIFEST.decode(manifest).messages
    except msgspec.DecodeError as error:
        raise Broken("FFD3030", f"a stored batch manifest cannot be read ({error}): restore the database") from None
