"""From a plugin's name in the configuration to the plugin: ours by their modules, others' by entry points.

Ours are named here and not looked up: reading the metadata of every installed package would be a tenth of the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from ffd.model.errors import Invalid

if TYPE_CHECKING:  # a look at the configuration needs no plugin
    from ffd.ports.plugin import ExchangeOpener, LedgerOpener, StorageOpener

LEDGERS, STORAGES, EXCHANGES = "ffd.ledgers", "ffd.storages", "ffd.exchanges"
OURS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    LEDGERS: {
        "file": ("ffd.plugins.ledger.file", "open_file_ledger"),
        "memory": ("ffd.plugins.ledger.memory", "open_memory_ledger"),
    },
    STORAGES: {
        "directory": ("ffd.plugins.sharedstorage.directory", "open_directory_storage"),
        "memory": ("ffd.plugins.sharedstorage.memory", "open_memory_storage"),
    },
    EXCHANGES: {
        "https": ("ffd.plugins.exchange.https", "open_https_exchange"),
        "loopback": ("ffd.plugins.exchange.loopback", "open_loopback_exchange"),
        "memory": ("ffd.plugins.exchange.memory", "open_memory_exchange"),
    },
}


def ledger_opener(plugin: str) -> LedgerOpener:
    """How to open ledgers of this kind. Raises Invalid when no such plugin is installed."""
    return cast("LedgerOpener", _find(LEDGERS, plugin))


def storage_opener(plugin: str) -> StorageOpener:
    """How to open shared storages of this kind. Raises Invalid when no such plugin is installed."""
    return cast("StorageOpener", _find(STORAGES, plugin))


def exchange_opener(plugin: str) -> ExchangeOpener:
    """How to open data exchanges of this kind. Raises Invalid when no such plugin is installed."""
    return cast("ExchangeOpener", _find(EXCHANGES, plugin))


def check_known(group: str, plugin: str) -> None:
    """Refuse a plugin that is neither ours nor installed, without loading it. Raises Invalid FFD1203."""
    if plugin in OURS[group]:
        return
    from importlib.metadata import entry_points  # it loads a mail parser: not for a node that needs no other's plugin

    known = entry_points(group=group).names
    if plugin not in known:
        names = ", ".join(sorted({*OURS[group], *known}))
        raise Invalid("FFD1203", f"no plugin {plugin!r} in {group}: there are {names}; install it, or name another")


def _find(group: str, plugin: str) -> Callable[..., Any]:
    check_known(group, plugin)
    if plugin in OURS[group]:
        module, opener = OURS[group][plugin]
        return cast(Callable[..., Any], getattr(import_module(module), opener))
    from importlib.metadata import entry_points

    return cast(Callable[..., Any], entry_points(group=group)[plugin].load())
