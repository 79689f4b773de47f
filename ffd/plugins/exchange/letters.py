"""What is said over a link: messages and blobs as firefly-dataexchange-https takes them (FireFly reference 6.6).

What it does not know is ours alone: where a blob broke off is asked with HEAD, which it answers 404, and so gets all.
"""

from __future__ import annotations

import h11

from ffd.model.errors import Away
from ffd.model.ids import format_uuid
from ffd.plugins.exchange.links import Answer, Link, answer_of, ask, check
from ffd.plugins.exchange.parts import BLOB, MESSAGE, RECIPIENT, SENDER, content_type, frame
from ffd.plugins.exchange.rest import Rest
from ffd.plugins.exchange.wire import Gone, Wire
from ffd.ports.exchange import Route, Transfer
from ffd.ports.sharedstorage import Source

MESSAGES, BLOBS = "/api/v1/messages", "/api/v1/blobs"
H_SENDER, H_RECIPIENT = "ffd-sender-destination", "ffd-recipient-destination"
H_OFFSET, H_HASH, H_SIZE, H_ERROR = "ffd-offset", "ffd-hash", "ffd-size", "ffd-error"


def destination(id: str) -> str:
    """The node's name in the `id` of its profile."""
    return id.rpartition("/")[2]


class Letter:
    """A message for a node."""

    def __init__(self, route: Route, message: bytes, boundary: str) -> None:
        before, behind = frame(_fields(route), MESSAGE, boundary)
        self._body = before + message + behind
        self._type = content_type(boundary)

    async def send(self, link: Link, wire: Wire) -> Answer:
        headers = {"content-type": self._type, "content-length": str(len(self._body))}
        return await ask(wire, link.head("POST", MESSAGES, headers), self._body)


class Parcel:
    """A blob for a node."""

    def __init__(self, route: Route, transfer: Transfer, source: Source, boundary: str) -> None:
        self._route = route
        self._transfer = transfer
        self._source = source
        self._boundary = boundary
        self._target = f"{BLOBS}/{route.namespace}/{format_uuid(transfer.data)}"

    async def send(self, link: Link, wire: Wire) -> Answer:
        """Send what the recipient has not yet. Once the source is read there is no second time: Away, not Gone."""
        offset = await self._ask_offset(link, wire)
        try:
            return await self._send_from(link, wire, offset)
        except Gone as gone:
            raise Away("FFD4415", f"{self._route.recipient[:80]} broke off: {gone}; it is tried again") from gone

    async def _ask_offset(self, link: Link, wire: Wire) -> int:
        headers = {H_SENDER: destination(self._route.sender), H_RECIPIENT: destination(self._route.recipient)}
        answer = await ask(wire, link.head("HEAD", self._target, headers | self._facts()))
        if not wire.again():
            raise Gone("it closes every connection")
        if error := answer.headers.get(H_ERROR):
            check(self._route, Answer(answer.status, answer.headers, error))
        offset = answer.headers.get(H_OFFSET, "")
        return int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 19 else 0

    async def _send_from(self, link: Link, wire: Wire, offset: int) -> Answer:
        rest = await Rest.after(offset, self._source)
        before, behind = frame(_fields(self._route), BLOB, self._boundary)
        headers = {"content-type": content_type(self._boundary), H_OFFSET: str(offset)} | self._facts()
        if self._transfer.size is None:
            headers["transfer-encoding"] = "chunked"
        else:
            headers["content-length"] = str(len(before) + self._transfer.size - offset + len(behind))
        await wire.send(link.head("PUT", self._target, headers), h11.Data(data=before))
        while piece := await rest.read():
            await wire.send(h11.Data(data=piece))
        await wire.send(h11.Data(data=behind), h11.EndOfMessage())
        return await answer_of(wire)

    def _facts(self) -> dict[str, str]:
        """What the recipient can check: FireFly's own exchange does not ask for it."""
        facts = {} if self._transfer.hash is None else {H_HASH: self._transfer.hash.hex()}
        return facts if self._transfer.size is None else facts | {H_SIZE: str(self._transfer.size)}


def _fields(route: Route) -> dict[str, str]:
    return {SENDER: destination(route.sender), RECIPIENT: destination(route.recipient)}
