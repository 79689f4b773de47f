"""The nonces of private messages sent here: how far each author has counted in each context (FireFly reference 2.7)."""

from __future__ import annotations

from ffd.store.transaction import Transaction


class Nonces:
    """Hands out nonces within one transaction; `keep` writes how far it came."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._last: dict[bytes, int] = {}

    def next(self, key: bytes) -> int:
        """The next nonce of an author in a context; the first is 0. `key` is `nonce_key` of the two."""
        last = self._last.get(key)
        if last is None:
            found: int | None = self._tx.value("SELECT nonce FROM nonces WHERE hash = ?", (key,))
            last = -1 if found is None else found
        self._last[key] = last + 1
        return last + 1

    def keep(self) -> None:
        """Record what was handed out: it is used, whatever becomes of the messages."""
        if self._last:
            self._tx.execute_many(
                """
                INSERT INTO nonces (hash, nonce) VALUES (?, ?)
                    ON CONFLICT (hash) DO UPDATE SET nonce = excluded.nonce""",
                list(self._last.items()),
            )
