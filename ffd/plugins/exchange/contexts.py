"""What TLS is told of a node and of its peers, as it is on disk and in the registered profiles at this moment."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence

from ffd.model.errors import Away, FfdError
from ffd.plugins.exchange.certificates import Files, Own, certificates, certificates_of, read_own
from ffd.ports.exchange import PeerProfile, Peers
from ffd.world import World

log = logging.getLogger(__name__)


class Contexts:
    """The contexts of one exchange. A certificate that is replaced on disk is taken from the next connection on."""

    def __init__(self, world: World, files: Files, peers: Peers) -> None:
        self._world = world
        self._files = files
        self._peers = peers
        self._own = read_own(world, files)
        self._listening: tuple[object, ssl.SSLContext] | None = None
        self._told = ""

    def own(self) -> Own:
        """What the node proves itself with; what it was before while the files cannot be read."""
        try:
            self._own = read_own(self._world, self._files, self._own)
        except FfdError as wrong:
            self._tell(wrong)
        return self._own

    def listening(self) -> ssl.SSLContext:
        """For connections from peers: from any of them. Raises Away, while there is none that could be used."""
        trusted = certificates_of([each.certificates for each in self._peers.all()])
        key = self.own().texts, trusted
        if self._listening is None or self._listening[0] != key:
            try:
                self._listening = key, self._context(trusted, listening=True)
            except Away as wrong:
                self._tell(wrong)
                if self._listening is None:
                    raise
        return self._listening[1]

    def towards(self, peer: PeerProfile) -> tuple[ssl.SSLContext, Sequence[bytes]]:
        """For a connection to a peer, and which certificates it may show. Raises Away."""
        trusted = certificates(peer.certificates)
        return self._context(trusted, listening=False), trusted

    def _context(self, trusted: Sequence[bytes], *, listening: bool) -> ssl.SSLContext:
        files = self._files
        try:
            return self._world.mutual_tls(files.certificate, files.key, trusted, listening=listening)
        except (OSError, FfdError) as wrong:
            raise Away(
                "FFD4411", f"this node cannot prove itself to its peers ({wrong}): mend that; it is tried again"
            ) from wrong

    def _tell(self, wrong: FfdError) -> None:
        if str(wrong) != self._told:
            self._told = str(wrong)
            log.error("what this node was known by stays: %s", wrong)
