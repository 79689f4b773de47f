"""The nodes that an exchange may speak with: those that are registered in its namespaces, as the network knows them."""

from __future__ import annotations

from collections.abc import Sequence

from ffd.model.identity import peer_profile
from ffd.ports.exchange import PeerProfile
from ffd.store import Store, identities


class RegisteredPeers:
    """The peers of one exchange; `join` tells of a namespace that it serves."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers: dict[str, list[int]] = {}

    def join(self, network_name: str, number: int) -> None:
        """Nodes that are registered in this namespace are peers from now on."""
        self._numbers.setdefault(network_name, []).append(number)

    def find(self, namespace: str, id: str) -> PeerProfile | None:
        """The profile of a node by its `id`, in the namespaces of this name in their network."""
        numbers = self._numbers.get(namespace, ())
        found = self._store.peek(lambda tx: [identities.peer(tx, number, id) for number in numbers])
        # One of several may have read the ledger a little further.
        return next((_read(id, each) for each in found if each is not None), None)

    def all(self) -> Sequence[PeerProfile]:
        """All profiles of all namespaces, of nodes here too."""
        numbers = [number for each in self._numbers.values() for number in each]
        rows = self._store.peek(lambda tx: [each for number in numbers for each in identities.peers(tx, number)])
        return [_read(id, profile) for id, profile in rows]


def _read(id: str, profile: str) -> PeerProfile:
    """A profile as it was registered: what is not there is empty, and leads nowhere."""
    found = peer_profile(profile)
    return PeerProfile(id, found.endpoint, found.cert)
