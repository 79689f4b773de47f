"""Names of machines and origins of pages in one spelling."""

import pytest

from ffd.model.origin import host_of, is_loopback, normal_origin

HOSTS = {
    "Node.Example.COM": "node.example.com",
    "node.example.com.": "node.example.com",
    "node:5000": "node",
    "[2001:0DB8::0001]:443": "2001:db8::1",
    "[::ffff:10.0.0.1]": "10.0.0.1",
    "10.0.0.1:5000": "10.0.0.1",
    "2001:db8::1": None,
    "node:port": None,
    "user@node": None,
    "node/path": None,
    "a b": None,
    "n\u00f6de": None,
    "node\n": None,
    "": None,
}
ORIGINS = {
    "https://App.example.com": "https://app.example.com",
    "https://app.example.com:443": "https://app.example.com",
    "http://app:80": "http://app",
    "http://app:443": "http://app:443",
    "https://[::1]:8443": "https://[::1]:8443",
    "https://app.example.com/": None,
    "app.example.com": None,
    "file://": None,
    "null": None,
    "*": None,
    "https://*.example.com": None,
    "https://u@app": None,
    "https://app\n": None,
}


@pytest.mark.parametrize("written, host", HOSTS.items())
def test_a_host_has_one_spelling(written: str, host: str | None) -> None:
    assert host_of(written) == host


@pytest.mark.parametrize("written, origin", ORIGINS.items())
def test_an_origin_has_one_spelling(written: str, origin: str | None) -> None:
    assert normal_origin(written) == origin


def test_loopback_is_what_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "::ffff:10.0.0.1")))  # noqa: S104 - not bound
