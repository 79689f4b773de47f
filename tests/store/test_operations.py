"""Transactions and operations as rows."""

from pathlib import Path

from ffd.store import Transaction, namespaces, open_store, operations
from ffd.store.operations import BLOCKCHAIN_IDS_MAX, ensure_transaction
from ffd.world import RealWorld

ID = bytes(16)


async def test_what_the_ledger_calls_a_transaction_is_kept_up_to_a_bound(tmp_path: Path) -> None:
    """Any member can pin under the transaction of another, as often as it likes."""
    async with open_store(RealWorld(), tmp_path / "ffd.db") as store:

        def pinned_often(tx: Transaction) -> str:
            number, _ = namespaces.ensure(tx, "default", "net", 1)
            for count in range(BLOCKCHAIN_IDS_MAX + 50):
                ensure_transaction(tx, number, ID, "batch_pin", 1, blockchain_id=f"0x{count:06}")
            return str(tx.value("SELECT blockchain_ids FROM transactions"))

        assert (await store.write(pinned_often)).split(",") == [f"0x{n:06}" for n in range(BLOCKCHAIN_IDS_MAX)]
        assert store.peek(lambda tx: operations.of_tx(tx, ID)) == []
