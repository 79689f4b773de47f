"""What can be set: one frozen value, read from a TOML file and the environment, every default with its unit.

`load_config` gives a whole configuration or one refusal that lists everything that is wrong. A key `b` of the table `a`
is also `FFD_A__B` in the environment, which is stronger than the file.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

from ffd.daemon import paths
from ffd.daemon import settings as key
from ffd.daemon.http import HttpConfig, check_http, completed
from ffd.daemon.reading import Reading
from ffd.daemon.settings import Described, EnvText
from ffd.model.errors import Invalid
from ffd.model.names import check_name
from ffd.plugins import registry

ROLES = ("sequencer", "intake", "exchange", "aggregator", "indexer")
"""What a process may be restricted to with `roles`, so that several can share a node's work."""
SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "FFD_SOCKET": ("socket", "path"), "--socket": ("socket", "path"),
    "FFD_STATE_DIR": ("state_dir",), "--state-dir": ("state_dir",),
    "FFD_ROLES": ("roles",), "--roles": ("roles",),
    "--log-level": ("log", "level"),
}  # fmt: skip
"""Variables and arguments that do not spell out their key."""
PLUGINS = {"ledgers": registry.LEDGERS, "storages": registry.STORAGES, "exchanges": registry.EXCHANGES}
NOTHING: Mapping[str, str] = {}
RELOADED = (
    "log.level", "timeouts.stop_s",
    "limits.message_bytes_max", "limits.unsent_messages_max", "limits.disk_reserve_bytes", "limits.blob_bytes_max",
    "http.certificate_file", "http.key_file", "http.client_ca_file", "http.tokens_file", "http.passwords_file",
    "http.hosts", "http.cors_origins",
)  # fmt: skip
"""What a SIGHUP takes over at once, with what is in the files of `http`; the rest is for the next start."""


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Who this node is."""

    name: str = key.name("node0", "the node's name in its organisation")
    default_namespace: str = key.name("default", "the namespace of requests that name none")


@dataclass(frozen=True, slots=True)
class OrgConfig:
    """The organisation that owns this node; it signs what the node sends."""

    name: str = key.name("org0", "the organisation's name in its networks")
    description: str = key.text("", "what others read about the organisation")


@dataclass(frozen=True, slots=True)
class SocketConfig:
    """The one local door."""

    path: str = key.text("", "the Unix socket", shown="see FILES")
    mode: int = key.mode(0o600, "who may connect to the socket")
    group: str = key.text("", "the group that owns the socket", shown="the user's own")


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What the daemon says on stderr."""

    level: str = key.choice("info", ("debug", "info", "warning", "error"), "the least that is worth a line")
    format: str = key.choice("auto", ("auto", "text", "json"), "auto: text on a terminal, JSON lines elsewhere")


@dataclass(frozen=True, slots=True)
class NamespaceConfig:
    """One namespace, and what its messages go through."""

    network_name: str = key.name("", "the namespace's name in its network", shown="NAME")
    description: str = key.text("", "what users read about the namespace")
    ledger: str = key.name("local", "the ledger that orders its messages: one of ledgers")
    storage: str = key.name("local", "the shared storage of its broadcasts: one of storages")
    exchange: str = key.name("local", "the data exchange of its private messages: one of exchanges")
    register: bool = key.switch(False, "claim the organisation and this node in the network as soon as it runs")
    org: str = key.name("", "the organisation that signs what is sent in it", shown="org.name")
    node: str = key.name("", "the node's name in it", shown="node.name")


@dataclass(frozen=True, slots=True)
class LedgerConfig:
    """One ledger."""

    plugin: str = key.text("file", "the plugin: file, memory, or an entry point of the group ffd.ledgers")
    options: Mapping[str, object] = key.options("what the plugin is told")


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """One shared storage."""

    plugin: str = key.text("directory", "the plugin: directory, memory, or an entry point of the group ffd.storages")
    options: Mapping[str, object] = key.options("what the plugin is told")


@dataclass(frozen=True, slots=True)
class ExchangeConfig:
    """One data exchange."""

    plugin: str = key.text("loopback", "the plugin: loopback, https, memory, or an entry point of ffd.exchanges")
    options: Mapping[str, object] = key.options("what the plugin is told")


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """How large a batch may grow while the pipe behind it is busy."""

    messages_max: int = key.count(200, "most messages in one batch", unit="messages", most=10_000)
    bytes_max: int = key.size("800Kb", "most payload in one batch", least=1024, most=64 << 20)


@dataclass(frozen=True, slots=True)
class AggregatorConfig:
    """How pins become events."""

    page_pins: int = key.count(500, "pins that become events in one transaction", unit="pins", most=10_000)


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """How events reach apps."""

    readahead_max: int = key.count(65_535, "most events a subscription may have in flight", unit="events", most=65_535)
    page_events: int = key.count(500, "events that a lagging subscription reads at once", unit="events", most=10_000)
    recent_bytes_max: int = key.size("16Mb", "memory for recent events, kept once for all subscriptions", most=1 << 30)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Where a clear refusal comes before damage."""

    message_bytes_max: int = key.size("800Kb", "largest message", least=1024, most=64 << 20)
    request_bytes_max: int = key.size("8Mb", "largest request body or WebSocket frame", least=1024, most=256 << 20)
    blob_bytes_max: int = key.size("16Gb", "largest blob, uploaded or received", most=1 << 50)
    connections_max: int = key.count(2_048, "most open connections", unit="connections", most=100_000)
    subscriptions_max: int = key.count(500, "most durable subscriptions of a namespace", unit="subscriptions")
    starts_max: int = key.count(
        4_096, "most subscriptions started on all WebSockets, served or standing by", unit="subscriptions", most=100_000
    )
    unsent_messages_max: int = key.count(1_000_000, "most accepted messages that wait for the ledger", unit="messages")
    frames_in_flight_max: int = key.count(64, "most unanswered frames of one WebSocket", unit="frames", most=10_000)
    disk_reserve_bytes: int = key.size("64Mb", "disk space below which nothing new is accepted")
    header_timeout_s: float = key.seconds(10, "for a connection to send the head of a request", least=0.1)
    idle_timeout_s: float = key.seconds(75, "for an idle HTTP connection to stay open", least=0.1)


@dataclass(frozen=True, slots=True)
class TimeoutsConfig:
    """How long to wait for whom."""

    request_s: float = key.seconds(120, "for a request that does not say", least=0.001)
    request_max_s: float = key.seconds(600, "the most that a request may ask for", least=0.001)
    stop_s: float = key.seconds(10, "to drain after the first SIGTERM", least=0, most=3600)


@dataclass(frozen=True, slots=True)
class Config:
    """A node's whole configuration. `state_dir` and `socket.path` are absolute once `load_config` gives it."""

    state_dir: str = key.text("", "the folder of the node's database, keys and stores", shown="see FILES")
    roles: tuple[str, ...] = key.words(ROLES, "what this process works on", shown="all")
    node: NodeConfig = key.section(NodeConfig)
    org: OrgConfig = key.section(OrgConfig)
    socket: SocketConfig = key.section(SocketConfig)
    http: HttpConfig = key.section(HttpConfig)
    log: LogConfig = key.section(LogConfig)
    namespaces: Mapping[str, NamespaceConfig] = key.tables(NamespaceConfig, default=NamespaceConfig())
    ledgers: Mapping[str, LedgerConfig] = key.tables(LedgerConfig, local=LedgerConfig())
    storages: Mapping[str, StorageConfig] = key.tables(StorageConfig, local=StorageConfig())
    exchanges: Mapping[str, ExchangeConfig] = key.tables(ExchangeConfig, local=ExchangeConfig())
    batch: BatchConfig = key.section(BatchConfig)
    aggregator: AggregatorConfig = key.section(AggregatorConfig)
    delivery: DeliveryConfig = key.section(DeliveryConfig)
    limits: LimitsConfig = key.section(LimitsConfig)
    timeouts: TimeoutsConfig = key.section(TimeoutsConfig)


def load_config(path: Path | None, environ: Mapping[str, str], arguments: Mapping[str, str] = NOTHING) -> Config:
    """The configuration of a file (or of none), the environment over it, and arguments (`--socket`) over both.

    `Invalid` FFD1001 has a line of text for each thing that is wrong: `ffd.toml:12: batch.mesages_max: unknown key; …`.
    """
    name, source = (str(path), _read(path)) if path else ("", "")
    table = _parse(name, source)
    overlaid = _overlay(table, environ) | _overlay(table, arguments)
    reading = Reading(name, source, overlaid)
    config = _complete(reading.section(Config, table, ()), environ)
    _check_whole(config, reading)
    if faults := reading.faults():
        raise Invalid("FFD1001", "\n".join(faults))
    return config


def at_next_start(running: Config, wanted: Config) -> list[str]:
    """The keys in which a reloaded configuration differs, and that only a new start takes over."""
    before, after = _flat(running), _flat(wanted)
    names = [name for name in before | after if name not in RELOADED and before.get(name) != after.get(name)]
    return sorted(names)


def _flat(value: object, at: str = "") -> dict[str, object]:
    """Every key of a configuration by its dotted name, those of named tables and options too."""
    if is_dataclass(value):
        inner = [(each.name, getattr(value, each.name)) for each in fields(value)]
    elif isinstance(value, Mapping):
        inner = list(value.items())
    else:
        return {at: value}
    return {key: each for name, below in inner for key, each in _flat(below, f"{at}.{name}" if at else name).items()}


def default_config(environ: Mapping[str, str]) -> Config:
    """The configuration of a node that was told nothing; the environment alone can still be wrong (`Invalid`)."""
    return load_config(None, environ)


def describe_config() -> list[Described]:
    """Every key with its type, default, unit and meaning: the table of ffd.toml(5)."""
    return key.describe(Config)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as wrong:
        raise Invalid("FFD1001", f"{path}: cannot be read: {wrong.strerror}") from None
    except UnicodeDecodeError as wrong:
        raise Invalid("FFD1001", f"{path}: is not UTF-8 at byte {wrong.start}") from None


def _parse(name: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(source)
    except tomllib.TOMLDecodeError as wrong:
        what, _, place = str(wrong).partition(" (at ")
        line = place.removeprefix("line ").split(",")[0].rstrip(")")
        at = line if line.isdigit() else str(len(source.splitlines()))
        raise Invalid("FFD1001", f"{name}:{at}: not TOML: {what}") from None


def _overlay(table: dict[str, object], environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Lay `FFD_A__B=…` and what has a short name over the table; gives each key's source, for the errors."""
    sources: dict[tuple[str, ...], str] = {}
    for name in sorted(environ):
        key = SHORT_NAMES.get(name)
        if key is None and name.startswith("FFD_") and "__" in name:
            key = tuple(name.removeprefix("FFD_").lower().split("__"))
        if key and environ[name]:
            _put(table, key, EnvText(environ[name]))
            sources[key] = name
    return sources


def _put(table: dict[str, object], key: tuple[str, ...], value: object) -> None:
    for part in key[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # whoever reads the table says what is wrong with it
        table = inner
    table[key[-1]] = value


def _complete(config: Config, environ: Mapping[str, str]) -> Config:
    """What depends on the user and on other keys: folders, names, the default ledger, storage and exchange."""
    path = config.socket.path or str(paths.socket_path(environ))
    state = str(Path(config.state_dir or str(paths.state_dir(environ))).expanduser().absolute())
    return replace(
        config,
        state_dir=state,
        http=completed(config.http, environ, state),
        socket=replace(config.socket, path=str(Path(path).expanduser().absolute())),
        namespaces={
            name: replace(
                each,
                network_name=each.network_name or name,
                org=each.org or config.org.name,
                node=each.node or config.node.name,
            )
            for name, each in config.namespaces.items()
        },
        ledgers={"local": LedgerConfig()} | dict(config.ledgers),
        storages={"local": StorageConfig()} | dict(config.storages),
        exchanges={"local": ExchangeConfig()} | dict(config.exchanges),
    )


def _check_whole(config: Config, reading: Reading) -> None:
    """What no key shows by itself."""
    for kind in ("namespaces", "ledgers", "storages", "exchanges"):
        for name in getattr(config, kind):
            _check_name(name, (kind, name), reading)
    for name, namespace in config.namespaces.items():
        _check_known("ledger", namespace.ledger, config.ledgers, ("namespaces", name, "ledger"), reading)
        _check_known("storage", namespace.storage, config.storages, ("namespaces", name, "storage"), reading)
        _check_known("exchange", namespace.exchange, config.exchanges, ("namespaces", name, "exchange"), reading)
    _check_networks(config, reading)
    _check_exchanges(config, reading)
    default = config.node.default_namespace
    _check_known("namespace", default, config.namespaces, ("node", "default_namespace"), reading)
    _check_plugins(config, reading)
    _check_group(config.socket.group, reading)
    check_http(config.http, reading)
    if len(config.socket.path.encode()) > paths.SOCKET_PATH_BYTES_MAX:
        reading.fault(("socket", "path"), f"{config.socket.path} is longer than {paths.SOCKET_PATH_BYTES_MAX} bytes")
    if config.limits.message_bytes_max > config.limits.request_bytes_max:
        reading.fault(("limits", "message_bytes_max"), "must not be more than limits.request_bytes_max")
    if config.timeouts.request_s > config.timeouts.request_max_s:
        reading.fault(("timeouts", "request_s"), "must not be more than timeouts.request_max_s")


def _check_networks(config: Config, reading: Reading) -> None:
    """To the other members each namespace of ours in their network is a node of its own, and a node has one name."""
    taken: dict[tuple[str, str, str], str] = {}
    for name, namespace in config.namespaces.items():
        first = taken.setdefault((namespace.ledger, namespace.network_name, namespace.node), name)
        if first != name:
            reading.fault(
                ("namespaces", name, "node"),
                f"network {namespace.network_name!r} of ledger {namespace.ledger!r} knows namespace {first!r} as its "
                f"node {namespace.node!r} already: give this one a name of its own",
            )


def _check_exchanges(config: Config, reading: Reading) -> None:
    """A message that comes in says its network by name alone, so networks of one exchange need different ones."""
    taken: dict[tuple[str, str], tuple[str, str]] = {}
    for name, namespace in config.namespaces.items():
        if config.exchanges.get(namespace.exchange, ExchangeConfig()).plugin == "loopback":
            continue
        first, ledger = taken.setdefault((namespace.exchange, namespace.network_name), (name, namespace.ledger))
        if ledger != namespace.ledger:
            reading.fault(
                ("namespaces", name, "exchange"),
                f"exchange {namespace.exchange!r} takes in what is for a network {namespace.network_name!r} for "
                f"namespace {first!r} already: give this one another exchange",
            )


def _check_plugins(config: Config, reading: Reading) -> None:
    for kind, group in PLUGINS.items():
        for name, each in getattr(config, kind).items():
            try:
                registry.check_known(group, each.plugin)
            except Invalid as wrong:
                reading.fault((kind, name, "plugin"), wrong.text)


def _check_group(group: str, reading: Reading) -> None:
    if group:
        import grp  # of no use to a node that names none

        try:
            grp.getgrnam(group)
        except KeyError:
            reading.fault(("socket", "group"), f"there is no group {group!r} on this machine: make it, or name another")


def _check_name(name: str, at: tuple[str, ...], reading: Reading) -> None:
    try:
        check_name(name, "name")
    except Invalid as wrong:
        reading.fault(at, wrong.text)


def _check_known(what: str, name: str, known: Iterable[str], at: tuple[str, ...], reading: Reading) -> None:
    if name not in known:
        reading.fault(at, f"there is no {what} {name!r}: name one of {', '.join(known)}")
