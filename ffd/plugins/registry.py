"""From a plugin's name in the configuration to the plugin: entry points, ours and others'."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from ffd.model.errors import Invalid
from ffd.ports.plugin import LedgerOpener, StorageOpener

LEDGERS, STORAGES = "ffd.ledgers", "ffd.storages"


def ledger_opener(plugin: str) -> LedgerOpener:
    """How to open ledgers of this kind. Raises Invalid when no such plugin is installed."""
    return cast(LedgerOpener, _find(LEDGERS, plugin).load())


def storage_opener(plugin: str) -> StorageOpener:
    """How to open shared storages of this kind. Raises Invalid when no such plugin is installed."""
    return cast(StorageOpener, _find(STORAGES, plugin).load())


def _find(group: str, plugin: str) -> EntryPoint:
    known = entry_points(group=group)
    if plugin not in known.names:
        raise Invalid("FFD1203", f"no plugin {plugin!r} in {group}: installed are {', '.join(sorted(known.names))}")
    return known[plugin]
