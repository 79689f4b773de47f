"""The data items of a message: those that are stored already, and new ones (FireFly reference 4.1, step 4)."""

from __future__ import annotations

from dataclasses import dataclass

from ffd.model.data import BlobRef, Data, DatatypeRef, check_validator, seal_data
from ffd.model.errors import Invalid, NotFound
from ffd.model.ids import format_uuid, normal_hash, parse_hash, parse_uuid, sha256
from ffd.model.names import check_name
from ffd.model.namespace import Namespace
from ffd.outbound.datatypes import check_item, read_datatype
from ffd.outbound.draft import Draft, WireItem
from ffd.store import Store, blobs, messages
from ffd.store.blobs import BlobRow
from ffd.world import World


@dataclass(frozen=True, slots=True)
class Items:
    """Resolves the data items of one namespace."""

    world: World
    store: Store
    namespace: Namespace

    def resolve(self, draft: Draft, item: WireItem, now: int, known: dict[str, int]) -> Data:
        """One data item: one that is stored already, or a new one; `known` learns what is stored (see `Acceptor`)."""
        if item.id:
            sequence, found = self._stored(item)
            known[found.id] = sequence
            return found
        made = self.make(item, draft.value_text(item.value), now)
        if made.blob is not None:
            known[made.blob.hash] = 0
        return made

    def make(self, item: WireItem, text: str, now: int) -> Data:
        """A new data item; nothing is stored. Raises Invalid, NotFound."""
        if item.blob is not None and item.blob.hash:
            return self._with_blob(item, parse_hash(item.blob.hash), text, now)
        if text == "null":
            raise Invalid("FF10205", "Data item has neither an id nor a value: give one of the two")
        made = Data(
            id=format_uuid(self.world.new_id()),
            hash=sha256(text.encode()),
            created=now,
            value=text,
            validator=check_validator(item.validator or ""),
            datatype=None if item.datatype is None else read_datatype(item.datatype),
        )
        if made.datatype is not None:
            check_item(self.store, self.namespace, made)
        return made

    def _with_blob(self, item: WireItem, hash: bytes, text: str, now: int) -> Data:
        """A new item for a blob that is here."""
        size = self._blob_here(hash).size
        wire = item.datatype
        datatype = DatatypeRef(wire.name, wire.version or "") if wire is not None and wire.name else None
        check_kind(item.validator or "", datatype, with_blob=True)
        return seal_data(
            format_uuid(self.world.new_id()), now, text,
            validator=item.validator or "", datatype=datatype, blob=BlobRef(hash.hex(), size),
        )  # fmt: skip

    def _blob_here(self, hash: bytes) -> BlobRow:
        found = self.store.peek(lambda tx: blobs.find(tx, self.namespace.number, hash))
        if found is None:
            raise NotFound("FF10239", f"No blob with hash '{hash.hex()}' is known here: upload it first")
        return found

    def _stored(self, item: WireItem) -> tuple[int, Data]:
        id = parse_uuid(item.id or "")
        found = self.store.peek(lambda tx: messages.find_data(tx, self.namespace.number, id))
        if found is None or (item.hash and normal_hash(item.hash) != found[1].hash.hex()):
            raise Invalid("FF10204", f"Data reference {item.id} cannot be resolved: no such data, or another hash")
        if found[1].blob is not None and found[1].blob.hash:
            check_kind(found[1].validator, found[1].datatype, with_blob=True)
            self._blob_here(parse_hash(found[1].blob.hash))
        elif found[1].datatype is not None:
            check_item(self.store, self.namespace, found[1])
        return found


def check_kind(validator: str, datatype: DatatypeRef | None, *, with_blob: bool) -> None:
    """Refuse an unknown validator, a datatype that cannot be one, and what no member could ever validate.

    The hash of a data item with a blob is not that of its value, which FireFly's nodes take for a fault of theirs: one
    such message, and each of them would stand still (FireFly reference 13, Q15).
    """
    checked = check_validator(validator)
    if datatype is None:
        return
    check_name(datatype.name, "datatype.name")
    if datatype.version:
        check_name(datatype.version, "datatype.version")
    if with_blob and checked == "json":
        raise Invalid(
            "FFD2504", f"Data with a blob cannot follow datatype '{datatype.name}': send it with validator none"
        )
