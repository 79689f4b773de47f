"""The door over TCP: as it is configured, found and refused, who comes in by TLS, and what a reload changes."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import bcrypt
import pytest

from tests.api.tcpdoor import Authority
from tests.processes.node import PATIENCE_S, Answer, House, Node, Program, until

OPEN = '[http]\naddress = "127.0.0.1"\nport = 0\nopen_loopback = true\n'


def url_of(node: Node) -> str:
    """Where the node says that it can be reached."""
    (url,) = node.facts()["http"]
    return str(url)


def connect(url: str, tls: ssl.SSLContext | None = None) -> socket.socket:
    at = urlsplit(url)
    end = socket.create_connection((at.hostname or "", at.port or 0), timeout=PATIENCE_S)
    return end if tls is None else tls.wrap_socket(end, server_hostname=at.hostname)


def say(end: socket.socket, url: str, target: str, *headers: str) -> None:
    lines = [f"GET {target} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *headers, "", ""]
    end.sendall("\r\n".join(lines).encode())


def get(url: str, target: str, *headers: str, tls: ssl.SSLContext | None = None) -> Answer:
    """The answer to one request on a connection of its own."""
    with connect(url, tls) as end:
        say(end, url, target, "Connection: close", *headers)
        return Answer(b"".join(iter(lambda: end.recv(65_536), b"")))


def test_a_node_that_was_told_to_listens_on_a_free_port_and_names_it(node: Node) -> None:
    node.config.write_text(OPEN)
    daemon = node.start()
    url = url_of(node)
    assert daemon.logged(f"on {node.socket} and {url}")
    assert f"http          {url}\n" in node.ffctl().out
    node.broadcast("t", "the same on both")
    answer = get(url, "/api/v1/messages?fetchdata=true")
    assert answer.status == 200 and json.loads(answer.body)[0]["data"][0]["value"] == "the same on both"
    node.stop(daemon)


def test_a_node_that_was_told_nothing_has_no_tcp_door(node: Node) -> None:
    daemon = node.start()
    assert node.facts()["http"] == []
    node.stop(daemon)


def test_a_port_that_is_taken_is_named_and_the_next_start_is_as_ever(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node.config.write_text(OPEN.replace("port = 0", f"port = {port}"))
        done = node.launch().wait()
    told = f"ffd: FFD1107: port {port} of 127.0.0.1 is taken by another program: stop it, or set another http.port\n"
    assert (done.code, done.err) == (1, told)
    assert not node.socket.exists()
    for _ in range(2):  # the port of connections that just died, too
        daemon = node.start()
        assert get(f"http://127.0.0.1:{port}", "/livez").status == 200
        node.stop(daemon)


@contextmanager
def handed_over(address: str) -> Iterator[tuple[list[str], int, str]]:
    """A program that gives its successor a listener as a service manager does; the listener, and where it is."""
    with socket.create_server((address, 0)) as listening:
        script = f"""
import os, sys
os.dup2({listening.fileno()}, 3)
os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
os.execvp(sys.argv[1], sys.argv[1:])
"""
        port = listening.getsockname()[1]
        yield [sys.executable, "-c", script], listening.fileno(), f"http://127.0.0.1:{port}"


def test_a_listener_of_the_service_manager_is_served_beside_the_socket(node: Node) -> None:
    node.config.write_text("[http]\nopen_loopback = true\n")
    with handed_over("127.0.0.1") as (shim, descriptor, url):
        daemon = node.start(before=shim, pass_fds=[descriptor])
        assert url_of(node) == url
        assert get(url, "/readyz").status == 200
        node.stop(daemon)


def test_a_listener_of_the_service_manager_keeps_the_rules_too(node: Node) -> None:
    for address, why in (
        ("0.0.0.0", "0.0.0.0 is not a loopback address"),  # noqa: S104 - what is tested
        ("127.0.0.1", "without TLS every program of this machine could come in at 127.0.0.1"),
    ):
        with handed_over(address) as (shim, descriptor, _):
            done = node.launch(before=shim, pass_fds=[descriptor]).wait()
        assert done.code == 2 and done.err.startswith(f"ffd: FFD1109: {address}:"), done.err
        assert why in done.err and not node.socket.exists()


def test_two_nodes_have_a_door_each(house: House) -> None:
    nodes = [Node(house, name, config=OPEN) for name in ("one", "other")]
    daemons = [node.start() for node in nodes]
    assert len({url_of(node) for node in nodes}) == 2
    for node, daemon in zip(nodes, daemons, strict=True):
        node.stop(daemon)


# On the network -------------------------------------------------------------------------------------------------------

TOKEN, OTHER, PASSWORD = "f00dfeedf00dfeed-main", "0ddba110ddba11-another", "open sesame"
BEARER, BASIC = (
    f"Authorization: Bearer {TOKEN}",
    f"Authorization: Basic {b64encode(f'ali:{PASSWORD}'.encode()).decode()}",
)
STATUS = "/api/v1/status"


@pytest.fixture
def authority(house: House) -> Authority:
    return Authority(house.folder / "ca")


def secret(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture
def guarded(node: Node, authority: Authority) -> Node:
    """A node that speaks TLS, and knows a token, a user, and whoever the authority has signed for."""
    certificate, key = authority.issue()
    tokens = secret(node.folder / "tokens", f"main {TOKEN}\n")
    passwords = secret(
        node.folder / "passwords", f"ali:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(6)).decode()}\n"
    )
    node.config.write_text(
        f"""
        [http]
        address = "127.0.0.1"
        port = 0
        certificate_file = "{certificate}"
        key_file = "{key}"
        client_ca_file = "{authority.file}"
        tokens_file = "{tokens}"
        passwords_file = "{passwords}"
        """
    )
    return node


def reload(daemon: Program) -> None:
    """SIGHUP, taken over when this returns."""
    before = daemon.errors().count('"message":"reloaded"') + daemon.errors().count("not reloaded")
    daemon.signal(signal.SIGHUP)
    until(
        "it is reloaded",
        lambda: daemon.errors().count('"message":"reloaded"') + daemon.errors().count("not reloaded") > before,
    )


def test_whoever_is_known_comes_in_by_tls(guarded: Node, authority: Authority) -> None:
    daemon = guarded.start()
    url = url_of(guarded)
    assert url.startswith("https://127.0.0.1:")
    for headers, tls in (
        ((BEARER,), authority.client()),
        ((BASIC,), authority.client()),
        ((), authority.client("app7")),
    ):
        assert get(url, STATUS, *headers, tls=tls).status == 200
    for headers in ((), (BEARER + "x",), (BASIC[:-4],)):
        answer = get(url, STATUS, *headers, tls=authority.client())
        assert answer.status == 401 and b"FF00169" in answer.body and "WWW-Authenticate: Bearer" in answer.head
    assert get(url, "/livez", tls=authority.client()).status == 200
    with pytest.raises(ssl.SSLError):
        get(url, STATUS, BEARER, tls=ssl.create_default_context())
    guarded.stop(daemon)
    for each in (TOKEN, PASSWORD, b64encode(PASSWORD.encode()).decode()):
        assert not daemon.logged(each)


def test_secrets_that_others_can_read_are_refused(guarded: Node, authority: Authority) -> None:
    for path, mode in (
        (guarded.folder / "tokens", 0o644), (guarded.folder / "passwords", 0o604),
        (authority.folder / "server.key", 0o644), (authority.folder / "server.pem", 0o666),
    ):  # fmt: skip
        before = path.stat().st_mode & 0o777
        path.chmod(mode)
        done = guarded.launch().wait()
        assert done.code == 2 and done.err.startswith(f"ffd: FFD1403: {path} can be "), done.err
        assert not guarded.socket.exists()
        path.chmod(before)


def test_files_that_are_not_there_or_wrong_are_named(guarded: Node, authority: Authority) -> None:
    (guarded.folder / "tokens").write_text("main short\n")
    done = guarded.launch().wait()
    assert done.code == 2 and done.err.startswith(f"ffd: FFD1402: {guarded.folder / 'tokens'}:1: the token is not 16")
    (guarded.folder / "tokens").unlink()
    done = guarded.launch().wait()
    assert done.code == 1 and done.err.startswith(f"ffd: FFD1401: {guarded.folder / 'tokens'} cannot be read")
    secret(guarded.folder / "tokens", f"main {TOKEN}\n")
    (authority.folder / "server.key").write_bytes(authority.ca.issue_cert("localhost").private_key_pem.bytes())
    done = guarded.launch().wait()
    assert done.code == 2 and done.err.startswith("ffd: FFD1404: ") and "mismatch" in done.err


def test_a_reload_takes_new_credentials_and_drops_nobody_who_is_still_known(
    guarded: Node, authority: Authority
) -> None:
    daemon = guarded.start()
    url, tls = url_of(guarded), authority.client()
    with connect(url, tls) as kept:
        say(kept, url, STATUS, BASIC)
        assert kept.recv(65_536).startswith(b"HTTP/1.1 200 ")
        (guarded.folder / "tokens").write_text(f"other {OTHER}\n")
        certificate, _ = authority.issue()
        reload(daemon)
        assert get(url, STATUS, BEARER, tls=tls).status == 401
        assert get(url, STATUS, f"Authorization: Bearer {OTHER}", tls=tls).status == 200
        with connect(url, tls) as fresh:
            shown = fresh.getpeercert(binary_form=True)  # type: ignore[attr-defined]
            assert ssl.DER_cert_to_PEM_cert(shown).strip() in certificate.read_text()
        say(kept, url, STATUS, BASIC)
        assert kept.recv(65_536).startswith(b"HTTP/1.1 200 ")
    guarded.stop(daemon)


def test_a_reload_of_what_is_wrong_changes_nothing_and_says_why(guarded: Node, authority: Authority) -> None:
    daemon = guarded.start()
    url, tls = url_of(guarded), authority.client()
    (guarded.folder / "tokens").write_text("main short\n")
    reload(daemon)
    until("it says why", lambda: daemon.logged("the rules of http stay as they were: FFD1402"))
    assert get(url, STATUS, BEARER, tls=tls).status == 200
    guarded.stop(daemon)


def test_a_reload_does_not_open_what_listens_by_another_address(guarded: Node, authority: Authority) -> None:
    """Good for a new start at 127.0.0.1; but what listens now would then speak to other machines in clear."""
    guarded.config.write_text(guarded.config.read_text().replace("127.0.0.1", "0.0.0.0"))  # noqa: S104 - the point
    daemon = guarded.start()
    url, tls = url_of(guarded).replace("0.0.0.0", "127.0.0.1"), authority.client()  # noqa: S104
    guarded.config.write_text(OPEN)
    reload(daemon)
    until("it says why", lambda: daemon.logged("the rules of http stay as they were: FFD1109"))
    assert get(url, STATUS, tls=tls).status == 401 and get(url, STATUS, BEARER, tls=tls).status == 200
    assert get(url, STATUS).status == 400
    guarded.stop(daemon)


def test_credentials_come_from_the_service_manager(guarded: Node, authority: Authority) -> None:
    folder = guarded.folder / "credentials"
    folder.mkdir()
    (guarded.folder / "tokens").rename(folder / "tokens")
    guarded.config.write_text(guarded.config.read_text().replace(str(guarded.folder / "tokens"), "tokens"))
    daemon = guarded.start(env={"CREDENTIALS_DIRECTORY": str(folder)})
    assert get(url_of(guarded), STATUS, BEARER, tls=authority.client()).status == 200
    guarded.stop(daemon)
