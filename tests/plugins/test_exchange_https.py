"""Mutual TLS between nodes: who is trusted, and for how long; what is said on the wire; what is too much."""

from __future__ import annotations

import datetime
import random
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import h11
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ffd.model.errors import Away, Broken, Invalid
from ffd.plugins.exchange import listener
from ffd.ports.exchange import PeerProfile, Transfer
from tests.plugins.exchanges import NETWORK, Blob, HttpsExchanges, Node, wrapper

CONTENT = bytes(range(256)) * 3000
DATA_ID = "646f6f72-6265-4c6c-9a6c-61727564616f"


def certificate(
    folder: Path, name: str, *, org: str = "alice", unit: str | None = "alice", days: int = 30, host: str = "localhost"
) -> tuple[Path, Path]:
    """A certificate that is signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, host), x509.NameAttribute(NameOID.ORGANIZATION_NAME, org)]
    names += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else []
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=365))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True, parents=True)
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def own(https: HttpsExchanges, name: str) -> tuple[Path, Path]:
    """The certificate and key that a node made itself."""
    folder = https.root / name / "exchange" / "local"
    return folder / "certificate.pem", folder / "key.pem"


def replace_own(https: HttpsExchanges, node: Node, **other: object) -> None:
    """Put another certificate and key in the place of a node's own."""
    made = certificate(https.root, "new", **{"org": node.name, "unit": node.name, **other})  # type: ignore[arg-type]
    for new, old in zip(made, own(https, node.name), strict=True):
        new.replace(old)


async def test_a_node_makes_itself_a_certificate_that_nobody_else_can_read_the_key_of(https: HttpsExchanges) -> None:
    alice = await https.node("alice")
    certificate_file, key_file = own(https, "alice")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert alice.profile.certificates == certificate_file.read_text()
    made = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert made.subject.rfc4514_string() == "OU=alice,O=alice,CN=127.0.0.1"


async def test_a_certificate_without_its_key_is_not_replaced_behind_its_back(https: HttpsExchanges) -> None:
    await https.node("alice", listens=False, known=False)
    own(https, "alice")[1].unlink()
    with pytest.raises(Broken, match=r"FFD4410: .*key\.pem is not there"):
        await https.node("alice", listens=False)


async def test_a_certificate_that_was_replaced_without_a_word_is_refused_and_both_ends_say_why(
    https: HttpsExchanges,
) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    await alice.send(bob, "with the old one")
    replace_own(https, alice)
    with pytest.raises(Away, match="FFD4427: bob-bob/bob cannot be reached: it does not trust the certificate of this"):
        await alice.send(bob, "with the new one")
    with pytest.raises(Away, match="FFD4426: alice-alice/alice cannot be reached: its certificate is not trusted: sel"):
        await bob.send(alice, "to the new one")
    https.introduce()  # the new profile is published
    await alice.send(bob, "with the new one")
    await bob.send(alice, "to the new one")
    assert bob.got() == [wrapper("with the old one"), wrapper("with the new one")]
    assert alice.got() == [wrapper("to the new one")]


async def test_an_expired_certificate_is_refused_though_it_is_registered(
    https: HttpsExchanges, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    replace_own(https, alice, days=-1)
    https.introduce()
    assert "certificate.pem ended on" in caplog.text
    with pytest.raises(Away, match="does not trust the certificate of this node: certificate expired"):
        await alice.send(bob, "tea")
    with pytest.raises(Away, match="its certificate is not trusted: certificate has expired"):
        await bob.send(alice, "tea")
    replace_own(https, alice)
    https.introduce()
    await alice.send(bob, "tea")


async def test_one_who_is_trusted_cannot_vouch_for_another(https: HttpsExchanges, tmp_path: Path) -> None:
    """A certificate that alice signed is trusted by TLS where hers is, since hers may sign; and is not hers."""
    alice, bob = await https.node("alice"), await https.node("bob")
    key = serialization.load_pem_private_key(own(https, "alice")[1].read_bytes(), None)
    issuer = x509.load_pem_x509_certificate(own(https, "alice")[0].read_bytes())
    made, made_key = certificate(tmp_path, "mallory", org="bob", unit="bob")
    child = x509.load_pem_x509_certificate(made.read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signed = (
        x509.CertificateBuilder()
        .subject_name(child.subject)
        .issuer_name(issuer.subject)
        .public_key(child.public_key())
        .serial_number(1)
        .not_valid_before(child.not_valid_before_utc)
        .not_valid_after(child.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    made.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    async with raw(alice, made, made_key) as wire:
        answer = await post(
            wire, form(("senderDestination", "bob"), ("recipientDestination", "alice"), ("message", "{}"))
        )
    assert answer.status_code in (400, 403, 404)
    assert alice.mailbox.messages == []
    async with raw(alice, made, made_key) as wire:
        parts = [("senderDestination", "bob"), ("recipientDestination", "alice"), ("message", wrapper("x").decode())]
        answer = await post(wire, form(*parts))
    assert answer.status_code == 403, "its name is registered, and with another certificate"
    assert alice.mailbox.messages == []
    assert bob.got() == []


async def test_a_certificate_is_rotated_without_a_refusal(https: HttpsExchanges) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    await alice.send(bob, "0")
    new, new_key = certificate(https.root, "new")
    folder = own(https, "alice")[0].parent
    (folder / "next-certificate.pem").write_bytes(new.read_bytes())
    assert alice.profile.certificates == own(https, "alice")[0].read_text() + new.read_text()
    await alice.send(bob, "1")
    https.introduce()
    await alice.send(bob, "2")
    await bob.send(alice, "2")
    new_key.replace(own(https, "alice")[1])
    new.replace(own(https, "alice")[0])
    (folder / "next-certificate.pem").unlink()
    await alice.send(bob, "3")
    await bob.send(alice, "3")
    https.introduce()
    await alice.send(bob, "4")
    await bob.send(alice, "4")
    assert bob.got() == [wrapper(text) for text in "01234"]
    assert alice.got() == [wrapper(text) for text in "234"]


async def test_files_that_are_half_replaced_leave_the_node_what_it_was(https: HttpsExchanges) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    await bob.send(alice, "before")
    key = own(https, "alice")[1].read_bytes()
    own(https, "alice")[1].write_text("half a k")
    carol = await https.node("carol")
    with pytest.raises(Away, match="FFD4411: this node cannot prove itself to its peers"):
        await alice.send(carol, "tea")
    own(https, "alice")[1].write_bytes(key)
    await alice.send(carol, "tea")
    await carol.send(alice, "meanwhile")
    assert alice.got() == [wrapper("before"), wrapper("meanwhile")]


async def test_certificates_that_a_peer_made_up_spoil_nothing_for_the_others(https: HttpsExchanges) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    rubbish = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    for number, texts in enumerate([rubbish, "x" * 100_000, rubbish * 1000, "\0", "-----BEGIN CERTIFICATE-----"]):
        bob.register.learn(PeerProfile(f"mallory/{number}", "https://127.0.0.1:1", texts))
    await alice.send(bob, "tea")
    assert bob.got() == [wrapper("tea")]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"address": "localhost"}, "FFD4422: exchange local: address 'localhost' is not an IP address"),
        ({"address": "::"}, "FFD4423: exchange local needs an endpoint"),
        ({"endpoint": "http://node"}, "FFD4423: exchange local needs an endpoint"),
        ({"port": 0}, "FFD1201: option port of plugin local must be a number from 1 to 65535, not 0"),
        ({"certificate_file": "c"}, "FFD4424: exchange local: certificate_file and key_file are set together"),
    ],
)
async def test_what_is_wrong_with_its_options_is_said(
    https: HttpsExchanges, options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(Invalid, match=fault):
        await https.node("alice", **options)


async def test_a_port_that_somebody_has_is_named(https: HttpsExchanges) -> None:
    alice = await https.node("alice", listens=False)
    port = int(alice.profile.endpoint.rpartition(":")[2])
    (listener,) = await trio.open_tcp_listeners(port, host="127.0.0.1")
    async with listener:
        with pytest.raises(Away, match=f"FFD4428: exchange local cannot listen on 127.0.0.1 port {port}"):
            await alice.exchange.serve(alice.mailbox)
    await alice.listen()


# On the wire ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def raw(to: Node, certificate_file: Path, key_file: Path) -> AsyncGenerator[Wire, None]:
    """A connection that a test speaks over as it likes."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=to.profile.certificates)
    context.load_cert_chain(certificate_file, key_file)
    port = int(to.profile.endpoint.rpartition(":")[2])
    stream = trio.SSLStream(await trio.open_tcp_stream("127.0.0.1", port), context, server_hostname="127.0.0.1")
    try:
        yield Wire(stream)
    finally:
        await trio.aclose_forcefully(stream)


class Wire:
    """A client that is not ours."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self.stream = stream
        self.http = h11.Connection(h11.CLIENT)

    async def ask(self, request: h11.Request, body: list[bytes]) -> h11.Response:
        await self.stream.send_all(self.http.send(request) or b"")
        for piece in body:
            await self.stream.send_all(self.http.send(h11.Data(data=piece)) or b"")
        await self.stream.send_all(self.http.send(h11.EndOfMessage()) or b"")
        while not isinstance(event := await self._next(), h11.Response):
            pass
        while not isinstance(await self._next(), h11.EndOfMessage):
            pass
        if self.http.their_state is h11.DONE:
            self.http.start_next_cycle()
        return event

    async def _next(self) -> object:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(bytes(await self.stream.receive_some(65536)))
        return event


def form(*parts: tuple[str, str]) -> bytes:
    """A form as the package form-data of Node writes it."""
    cut = "--------------------------515890814546601021194782"
    written = [f'--{cut}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in parts]
    return ("".join(written) + f"--{cut}--\r\n").encode()


HEADERS = [
    ("host", "127.0.0.1"),
    ("content-type", "multipart/form-data; boundary=--------------------------515890814546601021194782"),
    ("transfer-encoding", "chunked"),
]


async def post(wire: Wire, body: bytes, target: str = "/api/v1/messages", method: str = "POST") -> h11.Response:
    return await wire.ask(h11.Request(method=method, target=target, headers=HEADERS), [body[:100], body[100:]])


async def test_what_fireflys_own_exchange_sends_is_taken(https: HttpsExchanges) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    parts = [("senderDestination", "alice"), ("recipientDestination", "bob")]
    blob = form(*parts).replace(
        b"1194782--\r\n",
        b'1194782\r\nContent-Disposition: form-data; name="blob"; filename="b"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
        + CONTENT
        + b"\r\n----------------------------515890814546601021194782--\r\n",
    )
    async with raw(bob, *own(https, "alice")) as wire:
        ping = await wire.ask(h11.Request(method="HEAD", target="/api/v1/ping", headers=HEADERS[:1]), [])
        message = await post(wire, form(*parts, ("message", wrapper("tea").decode())))
        taken = await post(wire, blob, f"/api/v1/blobs/{NETWORK}/{DATA_ID}", "PUT")
    assert (ping.status_code, message.status_code, taken.status_code) == (204, 204, 204)
    assert bob.got() == [wrapper("tea")]
    transfer = Transfer(bytes.fromhex(DATA_ID.replace("-", "")))
    assert bob.mailbox.blobs == [(alice.route(bob), transfer, CONTENT)]


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([("senderDestination", "alice"), ("recipientDestination", "bob"), ("message", "no JSON")], 400),
        ([("senderDestination", "alice"), ("recipientDestination", "bob"), ("message", "{}")], 404),
        ([("senderDestination", "carol"), ("recipientDestination", "bob"), ("message", wrapper("t").decode())], 404),
        ([("recipientDestination", "bob"), ("message", wrapper("t").decode())], 404),
        ([("senderDestination", "alice"), ("recipientDestination", "bob")], 400),
        ([("message", wrapper("t").decode()), ("senderDestination", "alice")], 400),
        ([(f"field{number}", "x") for number in range(20)], 400),
        ([("senderDestination", "x" * 5000)], 507),
    ],
)
async def test_what_is_no_message_is_refused(https: HttpsExchanges, parts: list[tuple[str, str]], status: int) -> None:
    await https.node("alice")
    bob = await https.node("bob")
    async with raw(bob, *own(https, "alice")) as wire:
        answer = await post(wire, form(*parts))
    assert answer.status_code == status
    assert dict(answer.headers)[b"ffd-error"].startswith(b"FFD44")
    assert bob.got() == []


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"), ("GET", "/api/v1/messages"), ("PUT", "/api/v1/blobs/default/../../etc/passwd"),
        ("PUT", "/api/v1/blobs/default"), ("DELETE", f"/api/v1/blobs/default/{DATA_ID}"), ("POST", "/api/v1/status"),
    ],
)  # fmt: skip
async def test_nothing_else_is_served(https: HttpsExchanges, method: str, target: str) -> None:
    await https.node("alice")
    bob = await https.node("bob")
    async with raw(bob, *own(https, "alice")) as wire:
        answer = await post(wire, form(), target, method)
    assert answer.status_code in (400, 404)


async def test_a_message_beyond_the_limit_is_refused_for_good(
    https: HttpsExchanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    monkeypatch.setattr(listener, "MESSAGE_BYTES_MAX", 300_000)
    await alice.send(bob, "x" * 200_000)
    with pytest.raises(Invalid, match="FFD4412: bob-bob/bob answered 413: .*larger than 300000 bytes"):
        await alice.send(bob, "x" * 3_000_000)
    await alice.send(bob, "tea")
    assert len(bob.got()) == 2


async def test_too_much_at_once_is_tried_again(https: HttpsExchanges, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    monkeypatch.setattr(listener, "HELD_BYTES_MAX", 300_000)
    with pytest.raises(Away, match="FFD4414: bob-bob/bob answered 503: .*FFD4425"):
        await alice.send(bob, "x" * 3_000_000)
    await alice.send(bob, "tea")
    assert bob.got() == [wrapper("tea")]


async def test_one_peer_does_not_take_all_connections(https: HttpsExchanges) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    carol = await https.node("carol")
    async with trio.open_nursery() as nursery:
        for _ in range(listener.CONNECTIONS_OF_PEER_MAX):
            await nursery.start(hold, bob, *own(https, "alice"))
        with pytest.raises(Away):
            await alice.send(bob, "tea")
        await carol.send(bob, "milk")
        nursery.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked(0.05)
    await alice.send(bob, "tea")


async def hold(to: Node, certificate_file: Path, key_file: Path, *, task_status: trio.TaskStatus[None]) -> None:
    async with raw(to, certificate_file, key_file) as wire:
        await wire.ask(h11.Request(method="HEAD", target="/api/v1/ping", headers=HEADERS[:1]), [])
        task_status.started()
        await trio.sleep_forever()


async def test_who_shows_no_certificate_is_not_heard(https: HttpsExchanges) -> None:
    bob = await https.node("bob")
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=bob.profile.certificates)
    port = int(bob.profile.endpoint.rpartition(":")[2])
    for speak in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b""):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(speak)
    stranger = trio.SSLStream(await trio.open_tcp_stream("127.0.0.1", port), context, server_hostname="127.0.0.1")
    await stranger.send_all(b"HEAD /api/v1/ping HTTP/1.1\r\nHost: bob\r\n\r\n")
    with pytest.raises(trio.BrokenResourceError) as refused:
        await stranger.receive_some(100)
    await trio.aclose_forcefully(stranger)
    assert "CERTIFICATE_REQUIRED" in str(refused.value.__cause__)
    alice = await https.node("alice")
    await alice.send(bob, "tea")


async def test_what_ffd_sends_is_what_fireflys_own_exchange_takes(https: HttpsExchanges) -> None:
    """A server that knows of forms what busboy does, and of ffd nothing, not even where a blob broke off."""
    alice, bob = await https.node("alice"), await https.node("bob", listens=False)
    heard: list[tuple[str, str, bytes]] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=alice.profile.certificates)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*own(https, "bob"))
    port = int(bob.profile.endpoint.rpartition(":")[2])

    async def serve(stream: trio.SocketStream) -> None:
        secured, http = trio.SSLStream(stream, context, server_side=True), h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await secured.receive_some(65536)))
            elif isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                heard.append((head.method.decode(), head.target.decode(), body))
                unknown = head.method == b"HEAD" and b"ping" not in head.target
                answer = h11.Response(status_code=404 if unknown else 204, headers=[])
                await secured.send_all((http.send(answer) or b"") + (http.send(h11.EndOfMessage()) or b""))
                http.start_next_cycle()
            else:
                return await trio.aclose_forcefully(secured)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, port)
        assert listeners
        await alice.send(bob, "tea")
        await alice.send_blob(bob, Blob(CONTENT))
        nursery.cancel_scope.cancel()
    assert [(method, target) for method, target, _ in heard if method != "HEAD"] == [
        ("POST", "/api/v1/messages"),
        ("PUT", f"/api/v1/blobs/{NETWORK}/64646464-6464-6464-6464-646464646464"),
    ]
    bodies = [body for method, _, body in heard if method != "HEAD"]
    cut = bodies[0].partition(b"\r\n")[0]
    disposition = b'\r\nContent-Disposition: form-data; name="'
    assert bodies[0] == (
        cut + disposition + b'senderDestination"\r\n\r\nalice\r\n'
        + cut + disposition + b'recipientDestination"\r\n\r\nbob\r\n'
        + cut + disposition + b'message"\r\n\r\n' + wrapper("tea") + b"\r\n" + cut + b"--\r\n"
    )  # fmt: skip
    cut = bodies[1].partition(b"\r\n")[0]
    assert bodies[1].startswith(cut + disposition + b'senderDestination"\r\n\r\nalice\r\n' + cut)
    assert bodies[1].endswith(
        disposition + b'blob"; filename="blob"\r\nContent-Type: application/octet-stream\r\n\r\n' + CONTENT + b"\r\n"
        + cut + b"--\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_a_registered_peer_that_talks_nonsense_harms_nobody(
    https: HttpsExchanges, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = await https.node("alice"), await https.node("bob")
    rng = random.Random(seed)
    parts = [("senderDestination", "alice"), ("recipientDestination", "bob"), ("message", wrapper("tea").decode())]
    body = form(*parts)
    head = (
        f"POST /api/v1/messages HTTP/1.1\r\nHost: bob\r\nContent-Type: {HEADERS[1][1]}\r\n"
        f"ffd-offset: 0\r\nffd-hash: {'0' * 64}\r\nffd-size: 7\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    blob = head.replace(b"POST /api/v1/messages", f"PUT /api/v1/blobs/{NETWORK}/{DATA_ID}".encode())
    for _ in range(25):
        said = bytearray(rng.choice([head + body, blob + body.replace(b'"message"', b'"blob"; filename="x"')]))
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(said))
            said[at : at + rng.choice([0, 1, 1, 5])] = rng.choice(
                [b"\r\n", b"\0", b"--", b"9" * 30, b"\xff", b'"', rng.randbytes(3), b""]
            )
        async with raw(bob, *own(https, "alice")) as wire:
            with trio.move_on_after(0.05), suppress(trio.BrokenResourceError):
                await wire.stream.send_all(bytes(said))
                while await wire.stream.receive_some(65536):
                    pass
    assert "failed" not in caplog.text
    await alice.send(bob, "milk")
    assert bob.got()[-1] == wrapper("milk")
