-- What a node has of the network beside messages: blobs, datatypes, groups; and who claimed to be who.

-- Two namespaces of a node may be in one network, and know the same identities. Those without a claim are this node's
-- own word on itself, until the network has it.
CREATE TABLE new_identities (
    sequence     INTEGER PRIMARY KEY,
    id           BLOB NOT NULL,
    namespace    INTEGER NOT NULL REFERENCES namespaces (id),
    did          TEXT NOT NULL,
    type         TEXT NOT NULL,
    parent       BLOB,
    name         TEXT NOT NULL,
    description  TEXT,
    profile      TEXT,
    claim        BLOB,
    verification BLOB,
    "update"     BLOB,
    created      INTEGER NOT NULL,
    updated      INTEGER,
    UNIQUE (id, namespace),
    UNIQUE (namespace, did),
    UNIQUE (namespace, type, name)
) STRICT;

INSERT INTO new_identities (id, namespace, did, type, parent, name, description, profile, claim, verification,
                            "update", created, updated)
SELECT id, namespace, did, type, parent, name, description, profile, claim, verification, "update", created, updated
  FROM identities ORDER BY rowid;

CREATE TABLE new_verifiers (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    hash      BLOB NOT NULL,
    identity  BLOB NOT NULL,
    type      TEXT NOT NULL,
    value     TEXT NOT NULL,
    created   INTEGER NOT NULL,
    PRIMARY KEY (namespace, type, value),
    FOREIGN KEY (identity, namespace) REFERENCES new_identities (id, namespace) ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;

INSERT INTO new_verifiers (namespace, hash, identity, type, value, created)
SELECT namespace, hash, identity, type, value, created FROM verifiers;

DROP TABLE verifiers;
DROP TABLE identities;
ALTER TABLE new_identities RENAME TO identities;
ALTER TABLE new_verifiers RENAME TO verifiers;
CREATE INDEX verifiers_identity ON verifiers (identity, namespace);

-- Claims that are confirmed and lack their parent's verification, and verifications that lack their claim.
CREATE TABLE claims (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    message   BLOB NOT NULL,
    hash      BLOB NOT NULL,
    pin       INTEGER NOT NULL,
    did       TEXT NOT NULL,
    key       TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (namespace, message)
) STRICT, WITHOUT ROWID;

CREATE INDEX claims_key ON claims (namespace, key);

CREATE TABLE verifications (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    claim     BLOB NOT NULL,
    message   BLOB NOT NULL,
    did       TEXT NOT NULL,
    hash      BLOB NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (namespace, claim, message)
) STRICT, WITHOUT ROWID;

-- Who signed a waiting pin, and whether it may hold a claim of that very key: such claims take their turns in the
-- ledger's order.
ALTER TABLE waiting_pins ADD COLUMN signer TEXT NOT NULL DEFAULT '';
ALTER TABLE waiting_pins ADD COLUMN may_claim INTEGER NOT NULL DEFAULT 0;
CREATE INDEX waiting_pins_signer ON waiting_pins (namespace, signer, pin);

-- Blobs that are here whole. The bytes lie beside the database in files named by their hash; one file serves all
-- namespaces, but only those that have a row may read it.
CREATE TABLE blobs (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    hash      BLOB NOT NULL,
    size      INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    PRIMARY KEY (namespace, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_created ON blobs (namespace, created);

-- Data that is a blob, by the blob: who waits for it, and who still needs it.
CREATE INDEX data_blob ON data (namespace, (blob ->> '$.hash')) WHERE blob IS NOT NULL;

-- Which messages use a data item: the one that brought it stands in its row, the few others are listed. So an item can be
-- deleted, and its messages be found, though a message costs no index of its own.
ALTER TABLE data ADD COLUMN message INTEGER;

CREATE TABLE data_uses (
    data    INTEGER NOT NULL REFERENCES data (sequence),
    message INTEGER NOT NULL REFERENCES messages (sequence),
    PRIMARY KEY (data, message)
) STRICT, WITHOUT ROWID;

INSERT INTO data_uses (data, message) SELECT DISTINCT data, message FROM message_data;

-- Without a reference to data, each of which would make a deletion look through all of it.
CREATE TABLE new_message_data (
    message  INTEGER NOT NULL REFERENCES messages (sequence),
    position INTEGER NOT NULL,
    data     INTEGER NOT NULL,
    PRIMARY KEY (message, position)
) STRICT, WITHOUT ROWID;

INSERT INTO new_message_data (message, position, data) SELECT message, position, data FROM message_data;
DROP TABLE message_data;
ALTER TABLE new_message_data RENAME TO message_data;

-- What is published because an app asks for it may have a key, which is used once.
CREATE UNIQUE INDEX transactions_idempotency ON transactions (namespace, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

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
    UNIQUE (namespace, name, version)
) STRICT;

-- Not unique: who takes another's id for a datatype of a different name must not decide which of them is confirmed.
CREATE INDEX datatypes_id ON datatypes (id, namespace);

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

-- What became of a transaction, without a walk over all batches.
CREATE INDEX batches_tx ON batches (tx);
