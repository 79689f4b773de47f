"""What a plugin is given when it is opened, and how ffd finds it.

A plugin is an entry point of the group `ffd.ledgers`, `ffd.storages` or `ffd.exchanges`: a function of one
`PluginSetting` (an exchange's is given its `Peers` too) that returns an async context manager of the port. It checks
its options and refuses what it does not know with Invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from ffd.model.errors import Invalid
from ffd.ports.exchange import Exchange, Peers
from ffd.ports.ledger import Ledger
from ffd.ports.sharedstorage import SharedStorage
from ffd.ports.wallet import Wallet
from ffd.world import World


@dataclass(frozen=True, slots=True)
class PluginSetting:
    """One plugin of a node: its `name` in the configuration, its options, the node's state folder and its keys.

    `org` and `node` are the names of the organisation and of its node.
    """

    world: World
    name: str
    options: Mapping[str, object]
    home: Path
    wallet: Wallet
    org: str = "org0"
    node: str = "node0"

    @property
    def peer(self) -> str:
        """How the node is called among those that it exchanges with, as long as nothing else proves its name."""
        return f"{self.org}-{self.node}"

    def text(self, option: str, default: str) -> str:
        """A text option. Raises Invalid when it is something else."""
        value = self.options.get(option, default)
        if not isinstance(value, str):
            raise Invalid("FFD1201", f"option {option} of plugin {self.name} must be a text, not {value!r}")
        return value

    def number(self, option: str, default: int, *, most: int) -> int:
        """An option that is a whole number from 1 to `most`. Raises Invalid when it is something else."""
        value = self.options.get(option, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise Invalid(
                "FFD1201", f"option {option} of plugin {self.name} must be a number from 1 to {most}, not {value!r}"
            )
        return value

    def check_known(self, *known: str) -> None:
        """Refuse an option that the plugin does not have. Raises Invalid."""
        for option in self.options:
            if option not in known:
                raise Invalid(
                    "FFD1202", f"plugin {self.name} has no option {option}: it knows {', '.join(known) or 'none'}"
                )


LedgerOpener = Callable[[PluginSetting], AbstractAsyncContextManager[Ledger]]
StorageOpener = Callable[[PluginSetting], AbstractAsyncContextManager[SharedStorage]]
ExchangeOpener = Callable[[PluginSetting, Peers], AbstractAsyncContextManager[Exchange]]
