-- What a node has of the network beside messages: blobs, datatypes, groups; and who claimed to be who.

-- Blobs that are here whole. The bytes lie beside the database in files named by their hash; one file serves all
-- namespaces, but only those that have a row may read it.
CREATE TABLE blobs (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    hash      BLOB NOT NULL,
    size      INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    PRIMARY KEY (namespace, hash)
) STRICT, WITHOUT ROWID;

-- Data that is a blob, by the blob: who waits for it, and who still needs it.
CREATE INDEX data_blob ON data (namespace, (blob ->> '$.hash')) WHERE blob IS NOT NULL;

-- Datatypes as they were confirmed. A message knows those only whose definition was pinned before it, whenever its own
-- turn came: so all members decide alike.
CREATE TABLE datatypes (
    sequence  INTEGER PRIMARY KEY,
    id        BLOB NOT NULL,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    message   BLOB NOT NULL,
    validator TEXT NOT NULL,
    name      TEXT NOT NULL,
    version   TEXT NOT NULL,
    hash      BLOB NOT NULL,
    created   INTEGER NOT NULL,
    value     TEXT NOT NULL,
    pin       INTEGER NOT NULL REFERENCES pins (sequence),
    UNIQUE (id, namespace),
    UNIQUE (namespace, name, version)
) STRICT;

-- Those to whom private messages go together. `members` is the JSON that was hashed.
CREATE TABLE groups (
    sequence  INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    name      TEXT NOT NULL,
    members   TEXT NOT NULL,
    message   BLOB,
    created   INTEGER NOT NULL,
    UNIQUE (namespace, hash)
) STRICT;

-- For each masked context and member the pin that is expected next.
CREATE TABLE nextpins (
    sequence  INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    context   BLOB NOT NULL,
    identity  TEXT NOT NULL,
    hash      BLOB NOT NULL,
    nonce     INTEGER NOT NULL,
    UNIQUE (namespace, context, identity)
) STRICT;
