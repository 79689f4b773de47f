"""A large database, made at once: what a node has after a million messages, without sending them.

The rows are those that the node's own functions write, filled in beside them; only what nobody looks at while it lists
(manifests, hashes of batches) is made up. Everything comes from one seed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from random import Random

import apsw

from ffd.model.ids import format_uuid
from ffd.model.message import Header, TxParent, header_json
from ffd.model.times import format_time

BATCH_MESSAGES = 20
TOPICS, TAGS, AUTHORS = 50, 1_000, 7
BEGAN_NS = 1_700_000_000_000_000_000
STEP_NS = 40_000_000
UNSETTLED = 500
PRAGMAS = ("PRAGMA synchronous = OFF", "PRAGMA cache_size = -200000", "PRAGMA foreign_keys = OFF")
Row = tuple[object, ...]

INSERTS = {
    "messages": "sequence, id, namespace, header, hash, data, size, pins, idempotency_key",
    "message_states": "message, namespace, state, batch, confirmed, reject_reason",
    "data": "sequence, id, namespace, validator, hash, created, datatype_name, datatype_version, value, public, blob",
    "message_data": "message, position, data",
    "events": "sequence, id, namespace, type, reference, correlator, tx, topic, created",
    "batches": "sequence, id, namespace, type, node, group_hash, author, key, created, hash, manifest, tx, tx_type, "
    "sealed, payload_hash, payload_ref, sent, confirmed",
    "blockchainevents": "sequence, id, namespace, source, name, protocol_id, blockchain_id, timestamp, signer, action, "
    "tx, batch, batch_hash, payload_ref",
    "pins": "sequence, namespace, blockchainevent, position, hash, masked, created",
    "transactions": "sequence, id, namespace, type, created, idempotency_key, blockchain_ids",
    "operations": "sequence, id, namespace, tx, type, status, plugin, input, output, error, created, updated, retry",
}


def fill(database: Path, messages: int, seed: int = 7) -> None:
    """Put `messages` messages, and all that belongs to them, into the first namespace of a database of ffd.

    The database is a new one, and nobody else has it open.
    """
    connection = apsw.Connection(str(database))
    try:
        for pragma in PRAGMAS:
            connection.execute(pragma)
        namespace, name = next(connection.execute("SELECT id, name FROM namespaces WHERE id > 0 ORDER BY id"))
        library = _Library(Random(seed), namespace, messages)
        with connection:
            for rows in library.parts():
                for table, some in rows.items():
                    columns = INSERTS[table]
                    marks = ", ".join("?" * (columns.count(",") + 1))
                    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", some)  # noqa: S608
            connection.execute(
                "INSERT OR REPLACE INTO offsets (type, name, current) VALUES ('aggregator', ?, ?)", (name, library.pin)
            )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


class _Library:
    """Where the rows have come to."""

    def __init__(self, rng: Random, namespace: int, messages: int) -> None:
        self.pin = 0
        self._rng = rng
        self._namespace = namespace
        self._messages = messages
        self._event = 0
        self._operation = 0
        # Few are common, most are rare.
        self._tag_weights = [1 / (n + 1) for n in range(TAGS)]

    def parts(self) -> Iterator[dict[str, list[Row]]]:
        """The rows of a hundred batches at a time, by table."""
        rows: dict[str, list[Row]] = {table: [] for table in INSERTS}
        batches = -(-self._messages // BATCH_MESSAGES)
        tags: Iterator[int] = iter(())
        for batch in range(1, batches + 1):
            if batch % 100 == 1:
                count = 100 * BATCH_MESSAGES
                tags = iter(self._rng.choices(list(range(TAGS)), self._tag_weights, k=count))
            self._batch(rows, batch, tags)
            if batch % 100 == 0 or batch == batches:
                yield rows
                rows = {table: [] for table in INSERTS}

    def _id(self, at_ns: int) -> bytes:
        """A UUIDv7 of a time."""
        return (
            (at_ns // 1_000_000).to_bytes(6, "big")
            + b"\x70"
            + self._rng.randbytes(1)
            + b"\x80"
            + self._rng.randbytes(7)
        )

    def _batch(self, rows: dict[str, list[Row]], batch: int, tags: Iterator[int]) -> None:
        rng, ns = self._rng, self._namespace
        first = (batch - 1) * BATCH_MESSAGES + 1
        last = min(first + BATCH_MESSAGES - 1, self._messages)
        at = BEGAN_NS + last * STEP_NS
        author = rng.randrange(AUTHORS)
        did, key = f"did:firefly:org/org_{author}", f"ed25519:{author:064x}"
        id, tx, hash = self._id(at), self._id(at), rng.randbytes(32)
        settled = self._messages - last >= UNSETTLED
        topics = sorted(rng.sample(range(TOPICS), 4))
        used: dict[str, None] = {}
        for sequence in range(first, last + 1):
            tag = next(tags)
            names = (f"topic-{rng.choice(topics)}",) if rng.random() < 0.98 else ("orders", f"topic-{topics[0]}")
            used |= dict.fromkeys(names)
            self._message(rows, sequence, batch if settled else None, (did, key), names, tag, at, tx)
        if not settled:
            return
        ref = f"payload/{id.hex()}"
        rows["batches"].append((
            batch, id, ns, "broadcast", None, None, did, key, at, hash, "{}", tx, "batch_pin", int(author == 0), None,
            ref, at, at + STEP_NS if author else None,
        ))  # fmt: skip
        protocol = f"{batch:012d}/000000/000000"
        rows["blockchainevents"].append((
            batch, self._id(at), ns, "local", "BatchPin", protocol, f"0x{rng.randbytes(32).hex()}", at, key,
            "batch_pin", tx, id, hash, ref,
        ))  # fmt: skip
        for position, topic in enumerate(used):
            self.pin += 1
            context = sha256(topic.encode()).digest()
            rows["pins"].append((self.pin, ns, batch, position, context, 0, at + position))
        self._records(rows, batch, tx, at)

    def _message(
        self, rows: dict[str, list[Row]], sequence: int, batch: int | None, signer: tuple[str, str],
        topics: tuple[str, ...], tag: int, sealed_at: int, tx: bytes,
    ) -> None:  # fmt: skip
        rng, ns = self._rng, self._namespace
        at = BEGAN_NS + sequence * STEP_NS - rng.randrange(STEP_NS * 30)
        id, data_id = self._id(at), self._id(at)
        value = json.dumps({"order": sequence, "item": f"part-{sequence % 997:03d}", "note": rng.randbytes(90).hex()})
        refs = f'[{{"id":"{format_uuid(data_id)}","hash":"{sha256(value.encode()).hexdigest()}"}}]'
        rejected = rng.random() < 0.001
        header = Header(
            id=format_uuid(id), cid=format_uuid(self._id(at)) if rng.random() < 0.1 else "", txtype="batch_pin",
            author=signer[0], key=signer[1], created=format_time(at), namespace="default", topics=topics,
            tag=f"tag-{tag}" if tag else "", datahash=sha256(refs.encode()).hexdigest(),
            txparent=TxParent("token_transfer", format_uuid(id)) if rng.random() < 0.0001 else None,
        )  # fmt: skip
        text = header_json(header)
        key = f"order-{sequence}" if rng.random() < 0.2 else None
        rows["messages"].append((
            sequence, id, ns, text, sha256(text.encode()).digest(), refs, len(value), None, key,
        ))  # fmt: skip
        confirmed = sealed_at + 3 * STEP_NS if batch is not None else None
        state = "pending" if batch is None else "rejected" if rejected else "confirmed"
        reason = "FF10202: the author does not own the key" if rejected and batch is not None else None
        rows["message_states"].append((sequence, ns, state, batch, confirmed, reason))
        blob = None
        if rng.random() < 0.01:
            blob = json.dumps({
                "hash": rng.randbytes(32).hex(), "size": rng.randrange(10**6), "name": f"files/{sequence}.pdf",
                "path": "files",
            })  # fmt: skip
        datatype = ("widget", f"v{rng.randrange(3)}") if rng.random() < 0.05 else (None, None)
        rows["data"].append((
            sequence, data_id, ns, "json", sha256(value.encode()).digest(), at, *datatype, value, None, blob,
        ))  # fmt: skip
        rows["message_data"].append((sequence, 0, sequence))
        if batch is not None:
            for topic in topics:
                self._event += 1
                rows["events"].append((
                    self._event, self._id(sealed_at), ns, f"message_{state}", id,
                    bytes.fromhex(header.cid.replace("-", "")) if header.cid else None, tx, topic, confirmed,
                ))  # fmt: skip

    def _records(self, rows: dict[str, list[Row]], batch: int, tx: bytes, at: int) -> None:
        ns = self._namespace
        listed = f"0x{batch:064x}"
        rows["transactions"].append((batch, tx, ns, "batch_pin", at, None, listed))
        for type, plugin in (("sharedstorage_upload_batch", "shared"), ("blockchain_pin_batch", "local")):
            self._operation += 1
            failed = self._rng.random() < 0.001
            status = "Failed" if failed else "Succeeded"
            rows["operations"].append((
                self._operation, self._id(at), ns, tx, type, status, plugin, f'{{"batch":"{batch}"}}', None,
                "away" if failed else None, at, at + STEP_NS, None,
            ))  # fmt: skip
        if batch % 10 == 0:
            self._event += 1
            rows["events"].append((
                self._event, self._id(at), ns, "transaction_submitted", tx, None, tx, "batch_pin", at,
            ))  # fmt: skip
