"""The receiving end: peers that prove who they are are heard, and what they bring is answered once it is on disk."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import h11
import msgspec
import trio

from ffd.model.errors import Away, Conflict, FfdError, Full, Invalid, NotFound
from ffd.model.ids import parse_hash, parse_uuid
from ffd.plugins.exchange.certificates import certificates, peer_name
from ffd.plugins.exchange.contexts import Contexts
from ffd.plugins.exchange.letters import BLOBS, H_ERROR, H_HASH, H_OFFSET, H_RECIPIENT, H_SENDER, H_SIZE, MESSAGES
from ffd.plugins.exchange.links import PING
from ffd.plugins.exchange.parts import BLOB, MESSAGE, RECIPIENT, SENDER, Form
from ffd.plugins.exchange.wire import Gone, Wire, secure
from ffd.ports.exchange import Peers, Receiver, Route, Transfer

log = logging.getLogger(__name__)

STRANGERS_MAX = 64
"""Handshakes at one time; one more ends the one that has lasted longest."""
CONNECTIONS_MAX, CONNECTIONS_OF_PEER_MAX = 512, 16
MESSAGE_BYTES_MAX = 72 << 20
"""The largest message that is taken in: more than any batch may be configured to have."""
HELD_BYTES_MAX = 2 * MESSAGE_BYTES_MAX
"""What all messages that are coming in may have together; beyond it their senders try again."""
IDLE_S = 75.0
DRAIN_S = 5.0
"""How long a peer that is refused is still listened to, so that it hears why before the connection is reset."""
STATUS: Mapping[type[FfdError], int] = {Invalid: 400, NotFound: 404, Conflict: 409, Away: 503, Full: 507}


class Refused(Exception):
    """A request is answered with this status, and this error."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


class _Batch(msgspec.Struct):
    namespace: str = ""


class _Wrapper(msgspec.Struct):
    batch: _Batch = msgspec.field(default_factory=_Batch)


class Listener:
    """Who serves the connections of an exchange."""

    def __init__(self, contexts: Contexts, peers: Peers, receiver: Receiver) -> None:
        self._contexts = contexts
        self._peers = peers
        self._receiver = receiver
        self._held_bytes = 0
        self._strangers: dict[trio.CancelScope, None] = {}
        self._open: Counter[bytes] = Counter()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end."""
        try:
            wire = await self._secured(stream)
            if wire is not None:
                with self._counted(wire.certificate):
                    await self._serve_peer(wire)
        except Gone as gone:
            log.debug("a connection to the exchange ended: %s", gone)
        except Away as wrong:
            log.warning("a connection to the exchange was refused: %s", wrong)
        except Exception:
            log.exception("a connection to the exchange failed")
        finally:
            await trio.aclose_forcefully(stream)

    async def _secured(self, stream: trio.SocketStream) -> Wire | None:
        while len(self._strangers) >= STRANGERS_MAX:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.cancel()
        with trio.CancelScope() as scope:
            self._strangers[scope] = None
            try:
                return Wire(await secure(stream, self._contexts.listening(), listening=True), listening=True)
            finally:
                self._strangers.pop(scope, None)
        return None

    @contextmanager
    def _counted(self, certificate: bytes) -> Iterator[None]:
        if self._open.total() >= CONNECTIONS_MAX or self._open[certificate] >= CONNECTIONS_OF_PEER_MAX:
            raise Gone("it has too many connections")
        self._open[certificate] += 1
        try:
            yield
        finally:
            self._open[certificate] -= 1
            if not self._open[certificate]:
                del self._open[certificate]

    async def _serve_peer(self, wire: Wire) -> None:
        while True:
            head = await wire.next(within_s=IDLE_S)
            if not isinstance(head, h11.Request):
                raise Gone("it sent no request")
            try:
                headers = await self._take(wire, head)
            except (Refused, FfdError) as refusal:
                await _refuse(wire, refusal)
                return
            status = 200 if headers else 204
            await wire.send(h11.Response(status_code=status, headers=list(headers.items())), h11.EndOfMessage())
            if not wire.again():
                return

    async def _take(self, wire: Wire, head: h11.Request) -> dict[str, str]:
        """Do what is asked; the headers of the answer."""
        method = head.method.decode("ascii", "replace")
        path = head.target.decode("ascii", "replace").partition("?")[0]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        if method == "HEAD" and path == PING:
            await _end(wire)
            return {}
        if method == "POST" and path == MESSAGES:
            await self._take_message(wire, Form.of(headers.get("content-type", ""), MESSAGE))
            return {}
        if path.startswith(f"{BLOBS}/") and method in ("HEAD", "PUT"):
            namespace, data = _blob_name(path)
            transfer = Transfer(data, _hash(headers.get(H_HASH, "")), _number(headers.get(H_SIZE, "")))
            if method == "PUT":
                offset = _number(headers.get(H_OFFSET, "")) or 0
                await self._take_blob(wire, namespace, transfer, Form.of(headers.get("content-type", ""), BLOB), offset)
                return {}
            await _end(wire)
            route = self._route(wire, namespace, headers.get(H_SENDER, ""), headers.get(H_RECIPIENT, ""))
            return {H_OFFSET: str(await self._receiver.blob_offset(route, transfer)), "content-length": "0"}
        raise Refused(404, f"FFD4419: there is no {method[:20]} {path[:80]} here")

    async def _take_message(self, wire: Wire, form: Form) -> None:
        message = bytearray()
        try:
            while piece := await wire.piece():
                content = form.feed(piece)
                self._held_bytes += len(content)
                message += content
                self._check_size(len(message))
            _check_ended(form)
            text = bytes(message)
            route = self._route(wire, _namespace(text), form.fields.get(SENDER, ""), form.fields.get(RECIPIENT, ""))
            await self._receiver.take_message(route, text)
        finally:
            self._held_bytes -= len(message)

    def _check_size(self, size: int) -> None:
        if size > MESSAGE_BYTES_MAX:
            raise Refused(413, f"FFD4417: the message is larger than {MESSAGE_BYTES_MAX} bytes: send smaller batches")
        if self._held_bytes > HELD_BYTES_MAX:
            raise Away("FFD4425", "too much is coming in at once: try again")

    async def _take_blob(self, wire: Wire, namespace: str, transfer: Transfer, form: Form, offset: int) -> None:
        content = Content(wire, form)
        await content.begin()
        route = self._route(wire, namespace, form.fields.get(SENDER, ""), form.fields.get(RECIPIENT, ""))
        await self._receiver.take_blob(route, transfer, content, offset=offset)
        await content.skip()

    def _route(self, wire: Wire, namespace: str, sender: str, recipient: str) -> Route:
        """From whom to whom, as far as it is proved. Raises Refused, as FireFly's, for whom nobody knows."""
        try:
            peer = peer_name(wire.certificate, "a peer")
        except Invalid as wrong:
            raise Refused(403, str(wrong)) from wrong
        route = Route(namespace, _id(peer, sender), _id(self._contexts.own().name, recipient))
        profile = self._peers.find(namespace, route.sender)
        if profile is None:
            raise Refused(404, f"FFD4420: no registered node is {route.sender[:80]} in {namespace[:80]}: register it")
        if wire.certificate not in certificates(profile.certificates):
            raise Refused(
                403,
                f"FFD4418: {route.sender[:80]} has registered another certificate in {namespace[:80]}: publish the one "
                f"that it uses in its profile",
            )
        return route


class Content:
    """The blob in a form that comes in."""

    def __init__(self, wire: Wire, form: Form) -> None:
        self._wire = wire
        self._form = form
        self._first = b""

    async def begin(self) -> None:
        """Read up to where the blob begins."""
        while not self._form.begun:
            self._first += self._form.feed(await self._next())

    async def read(self) -> bytes:
        """The next piece; nothing at the end. Raises Away when the blob breaks off."""
        piece, self._first = self._first, b""
        while not piece and not self._form.ended:
            piece = self._form.feed(await self._next())
        return piece

    async def _next(self) -> bytes:
        try:
            piece = await self._wire.piece()
        except Gone as gone:
            raise Away("FFD4421", f"the blob broke off: {gone}") from gone
        if not piece:
            raise Invalid("FFD4416", "the form cannot be read: it ends before its last boundary")
        return piece

    async def skip(self) -> None:
        """Hear what is left, so that there can be a next request."""
        while await self._wire.piece():
            pass


async def _end(wire: Wire) -> None:
    if await wire.piece():
        raise Refused(400, "FFD4416: this request has no body")


async def _refuse(wire: Wire, refusal: Refused | FfdError) -> None:
    """Say why, and listen on for a moment."""
    if not wire.answerable:
        return
    if isinstance(refusal, Refused):
        status, error = refusal.status, refusal.error
    else:
        status = next((status for kind, status in STATUS.items() if isinstance(refusal, kind)), 500)
        error = str(refusal)
    body = msgspec.json.encode({"error": error})
    headers = [
        ("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close"),
        (H_ERROR, error.encode("ascii", "replace").decode().replace("\r", " ").replace("\n", " ")[:1000]),
    ]  # fmt: skip
    await wire.send(h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    with trio.move_on_after(DRAIN_S):
        while await wire.piece():
            pass


def _check_ended(form: Form) -> None:
    if not form.ended or not form.begun:
        raise Invalid("FFD4416", f"the form cannot be read: it has no end, or no part {form.last}")


def _namespace(message: bytes) -> str:
    """Of which namespace a batch is, by the network's name."""
    try:
        return _WRAPPER.decode(message).batch.namespace
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("FFD4416", f"the message is not that of a batch: {error}") from None


def _blob_name(path: str) -> tuple[str, bytes]:
    """The namespace and the data id in the path of a blob."""
    namespace, _, data = path.removeprefix(f"{BLOBS}/").partition("/")
    try:
        return namespace, parse_uuid(data)
    except Invalid:
        raise Refused(400, f"FFD4416: {path[:120]!r} is not the path of a blob: {BLOBS}/NAMESPACE/DATA-ID is") from None


def _id(peer: str, destination: str) -> str:
    return f"{peer}/{destination}" if destination else peer


def _hash(text: str) -> bytes | None:
    return parse_hash(text) if text else None


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Invalid("FFD4416", f"{text[:40]!r} is not a number of bytes")
    return int(text)


_WRAPPER = msgspec.json.Decoder(_Wrapper)
