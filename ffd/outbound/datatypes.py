"""Does what is sent follow the datatypes that it names? Refused here, since every member would reject it."""

from __future__ import annotations

from ffd.model.data import Data, DatatypeRef, WireDatatype
from ffd.model.datatype import check_complete, check_follows, unknown_datatype
from ffd.model.names import check_name
from ffd.model.namespace import Namespace
from ffd.store import Store, datatypes


def read_datatype(wire: WireDatatype | None) -> DatatypeRef | None:
    """The datatype that a sender names, if any. Raises Invalid FF00140."""
    if wire is None or not (wire.name or wire.version):
        return None
    if wire.name:
        check_name(wire.name, "datatype.name")
    if wire.version:
        check_name(wire.version, "datatype.version")
    return DatatypeRef(wire.name or "", wire.version or "")


def check_item(store: Store, namespace: Namespace, item: Data) -> None:
    """Refuse a value that does not follow its datatype, unless its validator is none.

    Raises Invalid FF10195 (a datatype that is incomplete, or not confirmed here), FF10196, FF10198.
    """
    ref = item.datatype
    if ref is None or item.validator == "none":
        return
    check_complete(ref)
    found = store.peek(lambda tx: datatypes.find(tx, namespace.number, ref.name, ref.version))
    if found is None:
        raise unknown_datatype(ref)
    check_follows(item, ref, found.value)
