"""What can be set, and what is said of a configuration that is wrong."""

import re
from pathlib import Path

import pytest

from ffd.daemon.config import RELOADED, Config, at_next_start, default_config, describe_config, load_config
from ffd.daemon.reading import line_of
from ffd.model.errors import Invalid

HOME = {"STATE_DIRECTORY": "/var/lib/ffd", "RUNTIME_DIRECTORY": "/run/ffd"}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("ffd.toml")


def load(file: Path, text: str, **environ: str) -> Config:
    file.write_text(text)
    return load_config(file, HOME | environ)


def faults(file: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(Invalid) as refused:
        load(file, text, **environ)
    assert refused.value.code == "FFD1001"
    return refused.value.text.splitlines()


def test_a_node_that_was_told_nothing_has_a_namespace_and_what_it_goes_through() -> None:
    config = default_config(HOME)
    assert (config.state_dir, config.socket.path, config.socket.mode) == ("/var/lib/ffd", "/run/ffd/ffd.sock", 0o600)
    assert config.namespaces["default"].network_name == "default"
    assert config.ledgers["local"].plugin == "file"
    assert config.storages["local"].plugin == "directory"
    assert config.exchanges["local"].plugin == "loopback"
    assert (config.batch.messages_max, config.batch.bytes_max) == (200, 819_200)


def test_a_file_sets_what_it_names_and_leaves_the_rest(written: Path) -> None:
    config = load(
        written,
        """
        state_dir = "/srv/ffd"
        roles = ["sequencer", "intake"]
        [node]
        name = "north"
        default_namespace = "trade"
        [socket]
        mode = 0o660
        [namespaces.trade]
        network_name = "trade-net"
        ledger = "shared"
        [ledgers.shared]
        options = { path = "/srv/shared.db" }
        [batch]
        bytes_max = "1Mb"
        [timeouts]
        stop_s = "2m"
        """,
    )
    assert config.roles == ("sequencer", "intake")
    assert (config.node.name, config.socket.mode, config.batch.bytes_max) == ("north", 0o660, 1 << 20)
    assert list(config.namespaces) == ["trade"]
    assert config.namespaces["trade"].ledger == "shared"
    assert config.ledgers["shared"].options == {"path": "/srv/shared.db"}
    assert "local" in config.ledgers
    assert config.timeouts.stop_s == 120.0
    assert config.limits == default_config(HOME).limits


def test_the_environment_is_stronger_than_the_file_and_arguments_than_both(written: Path) -> None:
    written.write_text('[batch]\nmessages_max = 10\n[socket]\npath = "/a"\n')
    environ = HOME | {"FFD_BATCH__MESSAGES_MAX": "20", "FFD_TIMEOUTS__STOP_S": "1.5", "FFD_SOCKET": "/b"}
    assert load_config(written, environ).socket.path == "/b"
    config = load_config(written, environ, {"--socket": "/c", "--roles": "intake, aggregator"})
    assert (config.batch.messages_max, config.timeouts.stop_s, config.socket.path) == (20, 1.5, "/c")
    assert config.roles == ("intake", "aggregator")


def test_tables_by_name_can_come_from_the_environment_alone() -> None:
    config = load_config(
        None, HOME | {"FFD_LEDGERS__MAIN__PLUGIN": "memory", "FFD_NAMESPACES__DEFAULT__LEDGER": "main"}
    )
    assert config.ledgers[config.namespaces["default"].ledger].plugin == "memory"


WRONG = {
    "a typo in a key": (
        "\n[batch]\nmesages_max = 3",
        "ffd.toml:3: batch.mesages_max: unknown key; did you mean messages_max?",
    ),
    "a typo in a table": ("[bacth]\nx = 3", "ffd.toml:1: bacth: unknown key; did you mean batch?"),
    "a text for a number": (
        'batch.messages_max = "3"',
        "ffd.toml:1: batch.messages_max: must be a whole number, not '3'",
    ),
    "a truth for a number": (
        "batch.messages_max = true",
        "ffd.toml:1: batch.messages_max: must be a whole number, not true",
    ),
    "a number for a text": ("[node]\nname = 3", "ffd.toml:2: node.name: must be a text in quotes, not 3"),
    "a number for a table": ("socket = 3", "ffd.toml:1: socket: must be a table, not 3"),
    "a text for tables": ('ledgers = "x"', "ffd.toml:1: ledgers: must be a table of tables, not 'x'"),
    "a text for options": (
        '[ledgers.local]\noptions = "x"',
        "ffd.toml:2: ledgers.local.options: must be a table, not 'x'",
    ),
    "too small": ("[batch]\nmessages_max = 0", "ffd.toml:2: batch.messages_max: 0 is too small: at least 1 messages"),
    "too large": (
        "[delivery]\nreadahead_max = 65536",
        "ffd.toml:2: delivery.readahead_max: 65536 is too large: at most 65535 events",
    ),
    "no size": (
        'batch.bytes_max = "8 apples"',
        "ffd.toml:1: batch.bytes_max: '8 apples' is not a size: write bytes, or like 800Kb or 50Mb",
    ),
    "no duration": (
        'timeouts.stop_s = "soon"',
        "ffd.toml:1: timeouts.stop_s: Unable to parse 'soon' as a duration: write one like 250ms or 1h2m",
    ),
    "a decimal mode": (
        "socket.mode = 600",
        "ffd.toml:1: socket.mode: 600 is not a mode: write it in octal, like 0o600 or '0600'",
    ),
    "no such word": (
        'log.level = "warn"',
        "ffd.toml:1: log.level: 'warn' is not one of debug, info, warning, error; did you mean warning?",
    ),
    "no such role": (
        'roles = ["intakes"]',
        "ffd.toml:1: roles: 'intakes' is not one of sequencer, intake, exchange, aggregator, indexer; did you mean "
        "intake?",
    ),
    "no such ledger": (
        '[namespaces.default]\nledger = "main"',
        "ffd.toml:2: namespaces.default.ledger: there is no ledger 'main': name one of local",
    ),
    "no such exchange": (
        '[namespaces.default]\nexchange = "main"',
        "ffd.toml:2: namespaces.default.exchange: there is no exchange 'main': name one of local",
    ),
    "no such plugin": (
        '[ledgers.main]\nplugin = "flie"',
        "ffd.toml:2: ledgers.main.plugin: no plugin 'flie' in ffd.ledgers: there are file, memory; install it, or name "
        "another",
    ),
    "no such group": (
        '[socket]\ngroup = "no-such-group"',
        "ffd.toml:2: socket.group: there is no group 'no-such-group' on this machine: make it, or name another",
    ),
    "a name for an address": (
        '[http]\naddress = "localhost"',
        "ffd.toml:2: http.address: 'localhost' is not an IP address: write one, such as 127.0.0.1 or ::1",
    ),
    "another machine, in clear": (
        '[http]\naddress = "0.0.0.0"\nopen_loopback = true',
        "ffd.toml:2: http.address: 0.0.0.0 is not a loopback address, and other machines are spoken to in TLS only: "
        "set certificate_file",
    ),
    "this machine, in clear, unasked": (
        '[http]\naddress = "::1"',
        "ffd.toml:2: http.address: without TLS every program of this machine could come in at ::1: set "
        "http.open_loopback if so",
    ),
    "nobody to let in": (
        '[http]\naddress = "10.0.0.1"\ncertificate_file = "c"\nkey_file = "k"',
        "ffd.toml:2: http.address: nobody could be let in at 10.0.0.1: set tokens_file, passwords_file or "
        "client_ca_file",
    ),
    "a certificate without its key": (
        '[http]\ncertificate_file = "c"',
        "ffd.toml:2: http.certificate_file: a certificate and its key_file are only of use together: set both",
    ),
    "authorities without TLS": (
        '[http]\nclient_ca_file = "c"',
        "ffd.toml:2: http.client_ca_file: client certificates are a part of TLS: set certificate_file too",
    ),
    "a host with a port": (
        'http.hosts = ["node", "node:5000"]',
        "ffd.toml:1: http.hosts: 'node:5000' is not a name or an address, without a port: write one",
    ),
    "all pages of the world": (
        'http.cors_origins = ["*"]',
        "ffd.toml:1: http.cors_origins: '*' is not an origin: write one such as https://app.example.com, without a "
        "path; there is no word for all of them, since their pages would have the rights of whoever looks at them",
    ),
    "a text for a list": ('http.hosts = "node"', "ffd.toml:1: http.hosts: must be a list of texts, not 'node'"),
    "a number for a switch": ("http.open_loopback = 1", "ffd.toml:1: http.open_loopback: must be true or false, not 1"),
    "no port": ("http.port = 65536", "ffd.toml:1: http.port: 65536 is too large: at most 65535"),
    "no namespace by default": (
        "[namespaces.trade]",
        "ffd.toml: node.default_namespace: there is no namespace 'default': name one of trade",
    ),
    "one node under two names": (
        '[namespaces.default]\n[namespaces.trade]\nnetwork_name = "default"',
        "ffd.toml:2: namespaces.trade.node: network 'default' of ledger 'local' knows namespace 'default' as its node "
        "'node0' already: give this one a name of its own",
    ),
    "limits at odds": (
        '[limits]\nmessage_bytes_max = "20Mb"',
        "ffd.toml:2: limits.message_bytes_max: must not be more than limits.request_bytes_max",
    ),
}


@pytest.mark.parametrize(("text", "fault"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_file_line_and_key(written: Path, text: str, fault: str) -> None:
    assert faults(written, text) == [fault]


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file(written: Path) -> None:
    found = faults(written, '[node]\nname = ""\n[batch]\nx = 1\nmessages_max = -1\n', FFD_LOG__FORMAT="xml")
    assert [line.split(": ")[0] for line in found] == ["FFD_LOG__FORMAT", "ffd.toml:2", "ffd.toml:4", "ffd.toml:5"]


def test_a_typo_in_a_variable_names_the_variable() -> None:
    with pytest.raises(Invalid, match="FFD_BATCH__MESAGES_MAX: unknown key; did you mean messages_max"):
        load_config(None, {"FFD_BATCH__MESAGES_MAX": "3"})
    with pytest.raises(Invalid, match="^FFD1001: FFD_BACTH__MESSAGES_MAX: unknown key; did you mean batch"):
        load_config(None, {"FFD_BACTH__MESSAGES_MAX": "3"})


def test_files_of_the_door_are_in_the_service_managers_credentials_or_in_the_state(written: Path) -> None:
    text = '[http]\ntokens_file = "tokens"\npasswords_file = "/etc/passwords"'
    assert load(written, text).http.tokens_file == "/var/lib/ffd/tokens"
    http = load(written, text, CREDENTIALS_DIRECTORY="/run/credentials/ffd.service").http
    assert (http.tokens_file, http.passwords_file) == ("/run/credentials/ffd.service/tokens", "/etc/passwords")
    assert (http.certificate_file, http.client_ca_file) == ("", "")
    environ = {"FFD_HTTP__HOSTS": "a, b", "FFD_HTTP__OPEN_LOOPBACK": "true"}
    http = load(written, "", **environ).http
    assert http.hosts == ("a", "b") and http.open_loopback


def test_what_a_reload_cannot_take_over_is_named(written: Path) -> None:
    before = load_config(None, {})
    written.write_text(
        '[log]\nlevel = "debug"\n[limits]\nmessage_bytes_max = 5000\n[batch]\nmessages_max = 3\n'
        '[ledgers.local]\noptions = { path = "x" }\n'
    )
    after = load_config(written, {})
    assert at_next_start(before, after) == ["batch.messages_max", "ledgers.local.options.path"]
    assert at_next_start(after, after) == []


def test_what_is_reloaded_are_keys_and_the_manual_names_them() -> None:
    assert set(RELOADED) <= {row.key for row in describe_config()}
    page = (Path(__file__).parents[2] / "man" / "ffd.toml.5").read_text()
    reload = page.partition(".Ss Reload")[2].partition(".Sh")[0]
    assert sorted(re.findall(r"^\.Va ([a-z_.]+)", reload, re.MULTILINE)) == sorted(RELOADED)


def test_a_file_that_is_not_toml_says_where(written: Path) -> None:
    assert faults(written, "[node]\nname = \n") == ["ffd.toml:2: not TOML: Invalid value"]
    assert faults(written, '[node]\nname = """') == ["ffd.toml:2: not TOML: Unterminated string"]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="nowhere.toml: cannot be read: No such file or directory"):
        load_config(tmp_path / "nowhere.toml", {})
    (tmp_path / "latin.toml").write_bytes(b'[org]\nname = "\xe9"')
    with pytest.raises(Invalid, match="latin.toml: is not UTF-8 at byte 14"):
        load_config(tmp_path / "latin.toml", {})


def test_a_socket_path_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Invalid, match="FFD_SOCKET: /x+ is longer than 107 bytes"):
        load_config(None, {"FFD_SOCKET": "/" + "x" * 107})


def test_the_line_of_a_key_is_found_in_headers_dotted_and_quoted_keys() -> None:
    lines = ["[a]", "b = 1", '[c."d e"]', "f.g = 2", "[[h]]", "'i' = 3"]
    places = {("a", "b"): 2, ("c", "d e"): 3, ("c", "d e", "f", "g"): 4, ("h", "i"): 6, ("a", "z"): 1, ("z",): 0}
    assert {key: line_of(key, lines) for key in places} == places


def test_every_key_is_described_with_its_default_and_unit() -> None:
    rows = {row.key: row for row in describe_config()}
    assert rows["batch.bytes_max"].default == "800Kb"
    assert (rows["batch.messages_max"].default, rows["batch.messages_max"].unit) == ("200", "messages")
    assert rows["socket.mode"].default == "0o600"
    assert rows["namespaces.NAME.ledger"].default == "local"
    assert all(row.meaning for row in rows.values())
    for row in rows.values():
        unit = row.key.rpartition("_")[2]
        assert (unit == "s") == (row.unit == "seconds"), f"{row.key}: seconds are named _s"
        if row.type == "size":
            assert "bytes" in row.key
