"""Who comes through the TCP door, and who does not: real connections, TLS with certificates of our own making."""

import json
import ssl
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from ffd.api.doorkeeper import Rules
from ffd.api.origins import Sites
from ffd.api.sockets import Socket
from ffd.world import RealWorld
from tests.api.door import LIMITS, Client
from tests.api.tcpdoor import (
    BEARER,
    PASSWORD,
    TOKEN,
    Authority,
    credentials,
    open_tcp_door,
    rules_of,
)

OPEN = Rules()
PAGE = "https://app.example.com"
JSON = "Content-Type: application/json"


def basic(user: str, password: str) -> str:
    return f"Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


async def test_a_door_that_is_open_asks_nobody() -> None:
    async with open_tcp_door(OPEN) as door:
        answer = await door.ask("GET", "/who")
        assert answer.status == 200 and json.loads(answer.body)["caller"] == "local"


LET_IN = {
    "a token": (BEARER, "token main"),
    "a scheme in another case": (BEARER.replace("Bearer", "bEARER"), "token main"),
    "a token of one namespace": ("Authorization: Bearer fedcba9876543210-sales", "token sales"),
    "a password": (basic("ali", PASSWORD), "user ali"),
}


@pytest.mark.parametrize("header, name", LET_IN.values(), ids=LET_IN)
async def test_whoever_has_credentials_is_let_in_by_name(header: str, name: str) -> None:
    async with open_tcp_door(Rules(credentials=credentials())) as door:
        client = await door.connect()
        for _ in range(3):
            await client.say(door.request("GET", "/who", header))
            answer = await client.answer()
            assert answer.status == 200 and json.loads(answer.body)["caller"] == name


KEPT_OUT = {
    "nothing": (),
    "another token": ("Authorization: Bearer 0123456789abcdef-mair",),
    "the start of a token": (BEARER[:-1],),
    "a token twice": (BEARER, BEARER),
    "two credentials": (BEARER, basic("ali", PASSWORD)),
    "no token": ("Authorization: Bearer",),
    "another scheme": (f"Authorization: Token {TOKEN}",),
    "a token as a password": (basic("main", TOKEN),),
    "another password": (basic("ali", "open sesamE"),),
    "another user": (basic("Ali", PASSWORD),),
    "a longer password": (basic("ali", PASSWORD + "\0x"),),
    "no password": (basic("ali", ""),),
    "no user": (basic("", PASSWORD),),
    "no base64": ("Authorization: Basic !!!",),
    "no UTF-8": ("Authorization: Basic /////w==",),
    "bytes beyond ASCII": ("Authorization: Bearer \xe9\xe9\xe9",),
    "a token in the URL": ("X-Authorization: no",),
}


@pytest.mark.parametrize("headers", KEPT_OUT.values(), ids=KEPT_OUT)
async def test_whoever_has_none_is_told_how_to_get_in(
    headers: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_tcp_door(Rules(credentials=credentials())) as door:
        for _ in range(2):  # the second time out of memory
            answer = await door.ask("GET", "/who?access_token=0123456789abcdef-main", *headers)
            assert (answer.status, answer.code) == (401, "FF00169")
        client = await door.connect()
        await client.say(door.request("GET", "/who", *headers))
        raw = await client._until(b"\r\n\r\n")
        assert b'WWW-Authenticate: Bearer realm="ffd"\r\nWWW-Authenticate: Basic realm="ffd", charset' in raw
    assert TOKEN not in caplog.text and PASSWORD not in caplog.text


async def test_nobody_sends_a_body_before_it_is_known() -> None:
    async with open_tcp_door(Rules(credentials=credentials())) as door:
        client = await door.connect()
        await client.say(door.request("POST", "/length", "Content-Length: 900000", "Expect: 100-continue"))
        head = await client._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 ") and b"Connection: close" in head


async def test_the_upgrade_to_a_websocket_needs_credentials_too() -> None:
    names: list[str] = []

    async def named(socket: Socket) -> None:
        names.append((await socket.caller()).name)
        await socket.receive()

    async with open_tcp_door(Rules(credentials=credentials()), websocket=named) as door:
        for target in ("/ws", "/ws?namespace=default&ephemeral", "/api/v1/namespaces/default/ws"):
            client = await door.connect()
            await client.say(door.upgrade(target))
            refused = await client.answer()
            assert (refused.status, refused.code) == (401, "FF00169")
        client = await door.connect()
        await client.say(door.upgrade("/ws", basic("ali", PASSWORD)))
        assert (await client.answer()).status == 101
        while not names:
            await trio.lowlevel.checkpoint()
    assert names == ["user ali"]


async def test_a_supervisor_needs_no_credentials(tmp_path: Path) -> None:
    async with open_tcp_door(Rules(credentials=credentials())) as door:
        assert (await door.ask("GET", "/livez")).status == 404  # the small app has none: it was asked
        assert (await door.ask("GET", "/livez/")).status == 401
        assert (await door.ask("GET", "/%6civez")).status == 401


async def test_whose_credentials_are_taken_away_is_told_to_go() -> None:
    async with open_tcp_door(Rules(credentials=credentials())) as door:
        staying, going = await door.connect(), await door.connect()
        await going.say(door.upgrade("/ws", BEARER))
        await staying.say(door.upgrade("/ws", basic("ali", PASSWORD)))
        assert (await going.answer()).status == (await staying.answer()).status == 101
        kept = await door.connect()
        await kept.say(door.request("GET", "/who", BEARER))
        assert (await kept.answer()).status == 200
        only_passwords = credentials(tokens=False)
        door.keeper.take(Rules(credentials=only_passwords))
        assert (await going._exactly(4))[:1] == b"\x88" and going.buffer[:0] == b""
        await kept.say(door.request("GET", "/who", BEARER))
        assert (await kept.answer()).status == 401
        await staying.say(b"\x81\x82\0\0\0\0hi")
        with trio.fail_after(5):
            assert (await staying._exactly(1))[0] in (0x81, 0x88)


# Host and Origin -------------------------------------------------------------------------------------------------

HOSTS = {
    "127.0.0.1": 200,
    "127.0.0.1:1": 200,
    "localhost": 200,
    "LOCALHOST.:80": 200,
    "node.example.com": 200,
    "[2001:DB8:0::1]:5000": 200,
    "evil.example.com": 403,
    "127.0.0.1.evil.example.com": 403,
    "localhost:5000:5000": 403,
    "localhost@evil": 403,
    "127.0.0.2": 403,
    "0.0.0.0": 403,  # noqa: S104 - it is no bind
    "2130706433": 403,
    "[::1]": 403,
    "": 403,
    "node.example.com/": 403,
}


@pytest.mark.parametrize("host, status", HOSTS.items())
async def test_a_host_that_is_not_ours_is_refused(host: str, status: int) -> None:
    sites = Sites(hosts={"node.example.com", "2001:db8::1"})
    async with open_tcp_door(Rules(sites=sites)) as door:
        answer = await door.ask("GET", "/", host=host)
        assert answer.status == status and (status == 200 or answer.code == "FFD2031")


async def test_a_page_of_another_site_changes_nothing_and_opens_no_websocket() -> None:
    async with open_tcp_door(OPEN) as door:
        own = f"http://{door.host}"
        for origin in (
            PAGE,
            "null",
            f"https://{door.host}",
            "http://127.0.0.1:1",
            own + "/",
            "file://",
            own + "\t" + own,
        ):
            for wanted in (
                door.request("POST", "/length", f"Origin: {origin}", body=b"x"),
                door.request("DELETE", "/", f"Origin: {origin}"),
                door.request("GET", "/ws", f"Origin: {origin}", *door.upgrade().decode().split("\r\n")[2:-2]),
                door.request("OPTIONS", "/", f"Origin: {origin}", "Access-Control-Request-Method: PUT"),
            ):
                client = await door.connect()
                await client.say(wanted)
                answer = await client.answer()
                assert (answer.status, answer.code) == (403, "FFD2032"), origin
                assert not any(name.startswith("access-control") for name in answer.headers)
            read = await door.ask("GET", "/", f"Origin: {origin}")
            assert read.status == 200 and not any(name.startswith("access-control") for name in read.headers)
        assert (await door.ask("POST", "/length", f"Origin: {own}", body=b"x")).status == 200
        twice = await door.ask("POST", "/length", f"Origin: {own}", f"Origin: {PAGE}", body=b"x")
        assert twice.status == 403


async def test_a_page_that_is_named_may_use_the_node() -> None:
    sites = Sites(origins={PAGE})
    async with open_tcp_door(Rules(credentials=credentials(), sites=sites)) as door:
        client = await door.connect()
        asked = (
            f"Origin: {PAGE}",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: authorization",
        )
        await client.say(door.request("OPTIONS", "/length", *asked))
        before = await client.answer()
        assert (before.status, before.body) == (204, b"")
        assert before.headers["access-control-allow-origin"] == PAGE
        assert before.headers["access-control-allow-credentials"] == "true"
        assert {"POST", "PUT", "DELETE", "PATCH"} <= set(before.headers["access-control-allow-methods"].split(", "))
        assert "authorization" in before.headers["access-control-allow-headers"].lower()
        assert "Origin" in before.headers["vary"]
        await client.say(door.request("POST", "/length", BEARER, f"Origin: {PAGE}", body=b"xx"))
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"2")
        assert answer.headers["access-control-allow-origin"] == PAGE and answer.headers["vary"] == "Origin"
        assert "X-FFD" in answer.headers["access-control-expose-headers"]
        await client.say(door.request("GET", "/", BEARER))
        plain = await client.answer()
        assert plain.headers["vary"] == "Origin" and "access-control-allow-origin" not in plain.headers
        unknown = await door.ask("GET", "/", f"Origin: {PAGE}")
        assert unknown.status == 401 and unknown.headers["access-control-allow-origin"] == PAGE
        client = await door.connect()
        await client.say(door.upgrade("/ws", BEARER, f"Origin: {PAGE}"))
        assert (await client.answer()).status == 101


# TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


async def echoed(client: Client, text: bytes) -> bytes:
    await client.say(b"\x81" + bytes([0x80 | len(text), 0, 0, 0, 0]) + text)
    return (await client._exactly(2 + len(text)))[2:]


async def test_http_and_websockets_are_spoken_behind_tls(authority: Authority) -> None:
    async with open_tcp_door(await rules_of(authority, credentials=credentials())) as door:
        client = await door.connect(authority.client())
        for size in (1, 900_000):
            await client.say(door.request("POST", "/length", BEARER, body=b"x" * size))
            assert json.loads((await client.answer()).body) == size
        await client.say(door.request("GET", "/stream?n=30", BEARER))
        assert len((await client.answer()).body) == 30 * 65_536
        await client.say(door.upgrade("/ws", BEARER) + b"")
        assert (await client.answer()).status == 101
        assert await echoed(client, b"behind TLS") == b"behind TLS"
        refused = await door.ask("GET", "/", tls=authority.client())
        assert (refused.status, refused.code) == (401, "FF00169")


async def test_tls_is_ended_in_good_order(authority: Authority) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        client = await door.connect(authority.client())
        await client.say(door.request("GET", "/", "Connection: close"))
        assert (await client.answer()).status == 200
        with trio.fail_after(3):
            assert await client.ended()  # a cut would be an error


async def test_old_versions_of_tls_are_not_spoken(authority: Authority) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        old = authority.client()
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(trio.BrokenResourceError):
            await door.connect(old)
        assert (await door.ask("GET", "/", tls=authority.client())).status == 200


async def test_a_client_certificate_of_our_authority_is_enough(authority: Authority, tmp_path: Path) -> None:
    rules = await rules_of(authority, client_ca=True, credentials=credentials())
    async with open_tcp_door(rules) as door:
        answer = await door.ask("GET", "/who", tls=authority.client("app7"))
        assert answer.status == 200 and json.loads(answer.body)["caller"] == "certificate app7"
        assert (await door.ask("GET", "/who", tls=authority.client())).status == 401
        assert (await door.ask("GET", "/who", BEARER, tls=authority.client())).status == 200
        wrong = await door.ask("GET", "/who", basic("ali", "no"), tls=authority.client("app7"))
        assert wrong.status == 401, "what is said counts before what is shown"
        stranger = Authority(tmp_path / "other").client("app7")
        authority.ca.configure_trust(stranger)
        with pytest.raises(trio.BrokenResourceError):
            await door.ask("GET", "/who", tls=stranger)


async def test_a_certificate_counts_only_while_its_authority_does(authority: Authority) -> None:
    rules = await rules_of(authority, client_ca=True)
    async with open_tcp_door(rules) as door:
        client = await door.connect(authority.client("app7"))
        await client.say(door.request("GET", "/"))
        assert (await client.answer()).status == 200
        door.keeper.take(Rules(rules.tls, credentials(), b"another"))
        await client.say(door.request("GET", "/"))
        assert (await client.answer()).status == 401


async def test_a_new_certificate_is_shown_and_old_connections_stay(authority: Authority) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        before = await door.connect(authority.client())
        first = before.stream.getpeercert()["serialNumber"]  # type: ignore[attr-defined]
        door.keeper.take(await rules_of(authority))
        after = await door.connect(authority.client())
        assert after.stream.getpeercert()["serialNumber"] != first  # type: ignore[attr-defined]
        for client in (before, after):
            await client.say(door.request("GET", "/"))
            assert (await client.answer()).status == 200


async def test_http_in_clear_at_a_port_with_tls_is_told_so(authority: Authority) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        refused = await door.ask("GET", "/")
        assert (refused.status, refused.code) == (400, "FFD2035") and "https" in refused.error


async def test_tls_at_a_port_without_it_is_told_so_at_once(authority: Authority) -> None:
    async with open_tcp_door(OPEN) as door:
        client = await door.connect()
        await client.say(b"\x16\x03\x01\x02\x00\x01")
        refused = await client.answer()
        assert (refused.status, refused.code) == (400, "FFD2034")
        with pytest.raises(trio.BrokenResourceError):
            await door.connect(authority.client())


async def test_a_handshake_has_its_time(authority: Authority, autojump_clock: object) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        silent, half = await door.connect(), await door.connect()
        await half.say(b"\x16\x03\x01\x02\x00\x01\x00")
        began = trio.current_time()
        assert await silent.ended() and await half.ended()
        assert trio.current_time() - began == pytest.approx(LIMITS.header_timeout_s, abs=1)


async def test_handshakes_that_hang_do_not_keep_others_out(authority: Authority) -> None:
    limits = replace(LIMITS, handshakes_max=5)
    async with open_tcp_door(await rules_of(authority), limits=limits) as door:
        hanging = [await door.connect() for _ in range(20)]
        for client in hanging:
            await client.say(b"\x16\x03\x01")
        for _ in range(10):
            assert (await door.ask("GET", "/", tls=authority.client())).status == 200
        assert await hanging[0].ended()


async def test_noise_in_tls_ends_its_connection_alone(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        good = await door.connect(authority.client())
        for noise in (
            b"\x16\x03\x01\x00\x05hello",
            b"\x80\x2e\x01\x00\x02" + bytes(43),
            b"\xff" * 100,
            b"\x15\x03\x03\x00\x02\x02\x28",
        ):
            client = await door.connect()
            await client.say(noise)
            with trio.fail_after(5):
                while await client.stream.receive_some():
                    pass
        broken = await door.connect(authority.client())
        await broken.stream.transport_stream.send_all(b"\x17\x03\x03\x00\x10" + b"x" * 16)  # type: ignore[attr-defined]
        await good.say(door.request("GET", "/"))
        assert (await good.answer()).status == 200
    assert caplog.records == []


async def test_a_websocket_behind_tls_is_told_of_a_stop(authority: Authority) -> None:
    async with open_tcp_door(await rules_of(authority)) as door:
        client = await door.connect(authority.client())
        await client.say(door.upgrade())
        assert (await client.answer()).status == 101
        door.stop()
        with trio.CancelScope(shield=True), trio.fail_after(3):
            assert (await client._exactly(4))[:1] == b"\x88"


async def test_rules_of_tls_are_those_of_a_server_of_today(authority: Authority) -> None:
    certificate, key = authority.issue()
    context = await RealWorld().tls_context(certificate, key, None)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2 and context.verify_mode == ssl.CERT_NONE
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert names and not {name for name in names if "RC4" in name or "DES" in name or "NULL" in name or "MD5" in name}


# Places ----------------------------------------------------------------------------------------------------------


async def test_those_who_never_ask_give_way_to_those_who_do(autojump_clock: object) -> None:
    async with open_tcp_door(Rules(credentials=credentials()), limits=replace(LIMITS, connections_max=20)) as door:
        known = await door.connect()
        await known.say(door.request("GET", "/", BEARER))
        assert (await known.answer()).status == 200
        idle = [await door.connect() for _ in range(19)]
        assert (await door.ask("GET", "/", BEARER)).status == 503, "they are given a second"
        await trio.sleep(1.5)
        for _ in range(10):
            assert (await door.ask("GET", "/", BEARER)).status == 200
        await known.say(door.request("GET", "/", BEARER))
        assert (await known.answer()).status == 200, "who is known keeps its place"
        assert await idle[0].ended()
