"""How the index is laid out: which fields it holds, in which form, and in which tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ffd.model.ids import sha256
from ffd.model.query import COLLECTIONS, Kind
from ffd.store.collection import Collection, Column

VERSION = 7
CHUNK_ROWS = 2_048
"""Rows that are waited for until a chunk is made of them: as many may be scanned for a list."""
MERGED = 32
"""So many chunks become one large one, since each costs a look."""
CHUNK_ROWS_MAX = CHUNK_ROWS * MERGED
CODES_MAX = 4_096
"""Values that the dictionary of a field may have; a chunk with more holds its texts."""
CODED_CHARS_MAX = 512
HELD_BYTES = 800
"""What is longer of the long texts is looked at in its table when parts of it are asked for."""
RANKED_CHARS = 256
"""Long texts are ordered by so many characters."""
NAMESPACE, SEQUENCE = "@namespace", "sequence"
CHUNK_BITS, FIELD_BITS = 24, 6
WIDTHS = {Kind.UUID: 16, Kind.HASH: 32}

SCHEMA = """
    -- One row. `round` counts what was committed here, and `changes` is how far search_changes was followed.
    CREATE TABLE search.meta (layout TEXT, database INTEGER, round INTEGER, changes INTEGER);

    -- How far each collection was followed by sequence.
    CREATE TABLE search.followed (collection INTEGER PRIMARY KEY, through INTEGER);

    -- Rows up to there that are in no chunk, or that one speaks wrongly of.
    CREATE TABLE search.holes (collection INTEGER, sequence INTEGER, PRIMARY KEY (collection, sequence)) WITHOUT ROWID;

    CREATE TABLE search.chunks (
        collection INTEGER, chunk INTEGER, count INTEGER, large INTEGER, PRIMARY KEY (collection, chunk)
    ) WITHOUT ROWID;

    -- Rows of chunks that count no more.
    CREATE TABLE search.dead (
        collection INTEGER, chunk INTEGER, position INTEGER, PRIMARY KEY (collection, chunk, position)
    ) WITHOUT ROWID;

    CREATE TABLE search.dictionary (field INTEGER, value, code INTEGER, PRIMARY KEY (field, value)) WITHOUT ROWID;

    -- `place` is field and chunk in one number; `low` and `high` are the least and the greatest value that is not null;
    -- `absent` rows have none. `body` has so many `entries`.
    CREATE TABLE search.planes (
        place INTEGER PRIMARY KEY, form INTEGER, low, high, absent INTEGER, entries INTEGER, nulls BLOB, spread BLOB,
        body BLOB, more BLOB
    );

    -- Of long texts: the order of a chunk's rows by the first characters, as two bytes each, and texts that part 256
    -- rows from those before.
    CREATE TABLE search.ranks (place INTEGER PRIMARY KEY, fences TEXT, low BLOB, high BLOB);

    -- The pieces that `count` rows from `first` on have in common, and between two pieces what each row has: a text as
    -- in a plane, all of one `width` or not, or as bytes if it is `digits`; or by its code, if they are few.
    CREATE TABLE search.shapes (
        place INTEGER, shape INTEGER, first INTEGER, count INTEGER, pieces TEXT, PRIMARY KEY (place, shape)
    ) WITHOUT ROWID;
    CREATE TABLE search.slots (
        id INTEGER PRIMARY KEY, place INTEGER, shape INTEGER, slot INTEGER, part INTEGER, count INTEGER, width INTEGER,
        digits INTEGER, bytes BLOB, tails BLOB, body BLOB, codes BLOB, more BLOB, UNIQUE (place, shape, slot, part)
    );
"""
LONG_TABLES = ("ranks", "shapes", "slots")
TABLES = ("meta", "followed", "holes", "chunks", "dead", "dictionary", "planes", *LONG_TABLES)


class Form(IntEnum):
    """What a plane's `body` is; its `nulls`, if it has them, have a byte for each row that is 1 where it has no value.

    A plane that says the same of all its rows has no body: the value is `low`. The body has an entry for each row; or,
    with a `spread`, for each run of rows that have the same value: it says from which row on up to which one. Rows in
    no run have no value then.
    """

    SAME = 0
    CODES = 1
    """The low bytes of codes of the dictionary, 0 for null; `more` are the high bytes, if any is not 0."""
    NUMBERS = 2
    """64 bits each, the high byte first."""
    BYTES = 3
    """Ids of 16 bytes, or hashes of 32, less the bytes with which the least and the greatest of them both begin."""
    TEXTS = 4
    """For each entry the byte 0xFF, the text in UTF-8, and the byte 0xFE."""
    LONG = 5
    """Nothing: ranks, shapes and slots say what is known of long texts. `low` and `high` are what they begin with."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that is held. `place` is that of chunk 0, and also its number in the dictionary."""

    name: str
    kind: Kind
    column: Column
    form: Form
    place: int

    @property
    def width(self) -> int:
        """Bytes of an id or a hash."""
        return WIDTHS[self.kind]


@dataclass(frozen=True, slots=True)
class Held:
    """A collection in the index."""

    number: int
    collection: Collection[Any]
    fields: dict[str, Field]

    @property
    def long(self) -> Field | None:
        """The field of long texts, if it has one."""
        return next((field for field in self.fields.values() if field.form is Form.LONG), None)

    @property
    def table(self) -> str:
        """The table that has its sequence."""
        return self.collection.source.split()[0]


class Layout:
    """The collections of an index; `digest` changes with anything that decides what lies in the file."""

    def __init__(self, collections: Iterable[Collection[Any]]) -> None:
        self.held = {
            collection.name: _hold(number, collection)
            for number, collection in enumerate(collections, 1)
            if collection.settled
        }
        said = [
            (held.number, held.collection.source, held.collection.settled, name, field.form, field.column)
            for held in self.held.values()
            for name, field in held.fields.items()
        ]
        self.digest = sha256(repr((VERSION, SCHEMA, CODED_CHARS_MAX, said)).encode()).hex()


def _hold(number: int, collection: Collection[Any]) -> Held:
    kinds = dict(COLLECTIONS[collection.name])
    columns = dict(collection.columns)
    kinds[NAMESPACE], columns[NAMESPACE] = Kind.INT, Column(collection.namespace, collection.namespace)
    kinds[SEQUENCE], columns[SEQUENCE] = Kind.INT, Column(collection.sequence, collection.sequence)
    fields = {}
    for place, (name, kind) in enumerate(kinds.items()):
        at = (number << FIELD_BITS | place) << CHUNK_BITS
        form = Form.LONG if name in collection.long else _form(name, kind)
        fields[name] = Field(name, kind, columns[name], form, at)
    return Held(number, collection, fields)


def _form(name: str, kind: Kind) -> Form:
    if kind in WIDTHS:
        return Form.BYTES
    if kind is Kind.JSON:
        return Form.TEXTS
    return Form.NUMBERS if kind is Kind.TIME or name == SEQUENCE else Form.CODES
