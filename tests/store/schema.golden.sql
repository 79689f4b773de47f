CREATE TRIGGER batches_changed AFTER UPDATE ON batches
  WHEN old.sent IS NOT NULL OR old.confirmed IS NOT NULL OR old.cancelled IS NOT NULL BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('batches', old.sequence);
END;

CREATE TABLE batches (
    sequence     INTEGER PRIMARY KEY,
    id           BLOB NOT NULL,
    namespace    INTEGER NOT NULL REFERENCES namespaces (id),
    type         TEXT NOT NULL,
    node         BLOB,
    group_hash   BLOB,
    author       TEXT NOT NULL,
    key          TEXT NOT NULL,
    created      INTEGER NOT NULL,
    hash         BLOB NOT NULL,
    manifest     TEXT NOT NULL,
    tx           BLOB NOT NULL,
    tx_type      TEXT NOT NULL,
    sealed       INTEGER NOT NULL,   -- 1 when this node made it
    payload_hash BLOB,               -- of the bytes that went to shared storage, when this node made them
    payload_ref  TEXT,
    sent         INTEGER,            -- when the ledger took its pin from us
    confirmed    INTEGER, cancel INTEGER, cancelled INTEGER, place INTEGER,            -- when its payload was read from outside and verified here
    UNIQUE (id, namespace)   -- not the other way: no query should walk a namespace by id
) STRICT;

CREATE INDEX batches_tx ON batches (tx);

CREATE INDEX batches_unsent ON batches (namespace, sequence) WHERE sealed = 1 AND sent IS NULL AND cancelled IS NULL;

CREATE TABLE blobs (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    hash      BLOB NOT NULL,
    size      INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    PRIMARY KEY (namespace, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_created ON blobs (namespace, created);

CREATE TABLE blockchainevents (
    sequence      INTEGER PRIMARY KEY,
    id            BLOB NOT NULL UNIQUE,
    namespace     INTEGER NOT NULL REFERENCES namespaces (id),
    source        TEXT NOT NULL,
    name          TEXT NOT NULL,
    protocol_id   TEXT NOT NULL,
    blockchain_id TEXT NOT NULL,
    timestamp     INTEGER NOT NULL,
    signer        TEXT NOT NULL,
    action        TEXT NOT NULL,
    tx            BLOB NOT NULL,
    batch         BLOB NOT NULL,
    batch_hash    BLOB NOT NULL,
    payload_ref   TEXT NOT NULL,
    UNIQUE (namespace, source, protocol_id)
) STRICT;

CREATE INDEX blockchainevents_batch ON blockchainevents (namespace, batch);

CREATE INDEX blockchainevents_tx ON blockchainevents (tx);

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

CREATE TABLE cursors (
    ledger   TEXT PRIMARY KEY,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER data_changed AFTER UPDATE ON data BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('data', old.sequence);
END;

CREATE TRIGGER data_deleted AFTER DELETE ON data BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('data', old.sequence);
END;

CREATE TABLE data (
    sequence         INTEGER PRIMARY KEY,
    id               BLOB NOT NULL,
    namespace        INTEGER NOT NULL REFERENCES namespaces (id),
    validator        TEXT NOT NULL,
    hash             BLOB NOT NULL,
    created          INTEGER NOT NULL,
    datatype_name    TEXT,
    datatype_version TEXT,
    value            TEXT,           -- the sender's own text, canonical; never parsed and written again
    public           TEXT,
    blob             TEXT, message INTEGER,           -- the blob reference as JSON
    UNIQUE (id, namespace)   -- not the other way: no query should walk a namespace by id
) STRICT;

CREATE INDEX data_blob ON data (namespace, (blob ->> '$.hash')) WHERE blob IS NOT NULL;

CREATE TABLE data_uses (
    data    INTEGER NOT NULL REFERENCES data (sequence),
    message INTEGER NOT NULL REFERENCES messages (sequence),
    PRIMARY KEY (data, message)
) STRICT, WITHOUT ROWID;

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

CREATE INDEX datatypes_id ON datatypes (id, namespace);

CREATE TABLE events (
    sequence   INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    namespace  INTEGER NOT NULL REFERENCES namespaces (id),
    type       TEXT NOT NULL,
    reference  BLOB NOT NULL,
    correlator BLOB,
    tx         BLOB,
    topic      TEXT,
    created    INTEGER NOT NULL
) STRICT;

CREATE INDEX events_reference ON events (reference);

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

CREATE TABLE "identities" (
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

CREATE TABLE leaders (
    role    TEXT PRIMARY KEY,
    epoch   INTEGER NOT NULL,
    process TEXT NOT NULL,
    since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "message_data" (
    message  INTEGER NOT NULL REFERENCES messages (sequence),
    position INTEGER NOT NULL,
    data     INTEGER NOT NULL,
    PRIMARY KEY (message, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_states (
    message       INTEGER PRIMARY KEY REFERENCES messages (sequence),
    namespace     INTEGER NOT NULL,
    state         TEXT NOT NULL,     -- ready, pending, confirmed, rejected, cancelled; 'sent' is said by the batch
    batch         INTEGER REFERENCES batches (sequence),
    confirmed     INTEGER,
    reject_reason TEXT
, private INTEGER) STRICT;

CREATE INDEX message_states_confirmed ON message_states (namespace, confirmed);

CREATE INDEX message_states_private ON message_states (namespace, private, message)
 WHERE private IS NOT NULL AND state = 'ready' AND batch IS NULL;

CREATE TABLE messages (
    sequence        INTEGER PRIMARY KEY,
    id              BLOB NOT NULL,
    namespace       INTEGER NOT NULL REFERENCES namespaces (id),
    header          TEXT NOT NULL,   -- the text that was hashed; the columns for filters are computed from it
    hash            BLOB NOT NULL,
    data            TEXT NOT NULL,   -- the references, as hashed into header.datahash
    size            INTEGER NOT NULL,
    pins            TEXT,
    idempotency_key TEXT,
    UNIQUE (id, namespace)   -- not the other way: no query should walk a namespace by id
) STRICT;

CREATE UNIQUE INDEX messages_idempotency ON messages (namespace, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE namespaces (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    network_name TEXT NOT NULL,
    ledger       TEXT,               -- where its pins are read; NULL until that was begun
    created      INTEGER NOT NULL
) STRICT;

CREATE TABLE nextpins (
    sequence  INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    context   BLOB NOT NULL,
    identity  TEXT NOT NULL,
    hash      BLOB NOT NULL,
    nonce     INTEGER NOT NULL,
    UNIQUE (namespace, context, identity)
) STRICT;

CREATE INDEX nextpins_hash ON nextpins (hash, namespace);

CREATE TABLE nonces (
    hash  BLOB PRIMARY KEY,
    nonce INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE offsets (
    type    TEXT NOT NULL,           -- batch, ledger, aggregator, subscription
    name    TEXT NOT NULL,
    current INTEGER NOT NULL,
    PRIMARY KEY (type, name)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER operations_changed AFTER UPDATE ON operations WHEN old.status NOT IN ('Initialized', 'Pending') BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('operations', old.sequence);
END;

CREATE TABLE operations (
    sequence  INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    tx        BLOB NOT NULL,
    type      TEXT NOT NULL,
    status    TEXT NOT NULL,
    plugin    TEXT NOT NULL,
    input     TEXT,
    output    TEXT,
    error     TEXT,
    created   INTEGER NOT NULL,
    updated   INTEGER NOT NULL,
    retry     BLOB
) STRICT;

CREATE INDEX operations_tx ON operations (tx);

CREATE INDEX operations_unfinished ON operations (type, sequence) WHERE status IN ('Initialized', 'Pending');

CREATE TABLE owed (
    operation INTEGER PRIMARY KEY REFERENCES operations (sequence),
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    node      BLOB NOT NULL,
    batch     INTEGER NOT NULL REFERENCES batches (sequence),
    data      BLOB                   -- the item whose blob is meant; NULL for the batch itself
) STRICT;

CREATE INDEX owed_batch ON owed (batch);

CREATE INDEX owed_node ON owed (namespace, node, operation);

CREATE TABLE pins (
    sequence        INTEGER PRIMARY KEY,
    namespace       INTEGER NOT NULL REFERENCES namespaces (id),
    blockchainevent INTEGER NOT NULL REFERENCES blockchainevents (sequence),
    position        INTEGER NOT NULL,
    hash            BLOB NOT NULL,
    masked          INTEGER NOT NULL,
    created         INTEGER NOT NULL
) STRICT;

CREATE INDEX pins_event ON pins (blockchainevent);

CREATE INDEX pins_masked ON pins (hash, namespace, sequence) WHERE masked = 1;

CREATE TABLE refusals (
    sequence  INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    batch     BLOB NOT NULL,
    sender    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    created   INTEGER NOT NULL,
    UNIQUE (batch, namespace)
) STRICT;

CREATE TABLE rewinds (
    sequence  INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    batch     BLOB NOT NULL
) STRICT;

CREATE TABLE search_changes (
    change     INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    sequence   INTEGER NOT NULL
) STRICT;

CREATE TABLE subscriptions (
    sequence  INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    name      TEXT NOT NULL,
    transport TEXT NOT NULL,
    filter    TEXT NOT NULL,
    options   TEXT NOT NULL,
    created   INTEGER NOT NULL,
    updated   INTEGER,
    UNIQUE (namespace, name)
) STRICT;

CREATE TRIGGER transactions_changed AFTER UPDATE ON transactions WHEN old.blockchain_ids IS NOT NULL BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('transactions', old.sequence);
END;

CREATE TABLE "transactions" (
    sequence        INTEGER PRIMARY KEY,
    id              BLOB NOT NULL,
    namespace       INTEGER NOT NULL REFERENCES namespaces (id),
    type            TEXT NOT NULL,
    created         INTEGER NOT NULL,
    idempotency_key TEXT,
    blockchain_ids  TEXT,
    UNIQUE (id, namespace)   -- not the other way: no query should walk a namespace by id
) STRICT;

CREATE UNIQUE INDEX transactions_idempotency ON transactions (namespace, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

CREATE TABLE verifications (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    claim     BLOB NOT NULL,
    message   BLOB NOT NULL,
    did       TEXT NOT NULL,
    hash      BLOB NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (namespace, claim, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE "verifiers" (
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    hash      BLOB NOT NULL,
    identity  BLOB NOT NULL,
    type      TEXT NOT NULL,
    value     TEXT NOT NULL,
    created   INTEGER NOT NULL, pin INTEGER,
    PRIMARY KEY (namespace, type, value),
    FOREIGN KEY (identity, namespace) REFERENCES "identities" (id, namespace) ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX verifiers_identity ON verifiers (identity, namespace);

CREATE TRIGGER masked_pins_go AFTER DELETE ON waiting_pins WHEN old.masked = 1 BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('pins', old.pin);
END;

CREATE TRIGGER masked_pins_wait AFTER INSERT ON waiting_pins WHEN new.masked = 1 BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('pins', new.pin);
END;

CREATE TABLE waiting_pins (
    pin       INTEGER PRIMARY KEY REFERENCES pins (sequence),
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    hash      BLOB NOT NULL,
    batch     BLOB NOT NULL,
    message   BLOB,
    topic     TEXT,
    cause     TEXT NOT NULL,
    subject   TEXT NOT NULL,
    since     INTEGER NOT NULL
, signer TEXT NOT NULL DEFAULT '', may_claim INTEGER NOT NULL DEFAULT 0, masked INTEGER NOT NULL DEFAULT 0, author TEXT) STRICT;

CREATE INDEX waiting_pins_batch ON waiting_pins (namespace, batch);

CREATE INDEX waiting_pins_context ON waiting_pins (namespace, hash, pin) WHERE masked = 0;

CREATE INDEX waiting_pins_signer ON waiting_pins (namespace, signer, pin);

CREATE INDEX waiting_pins_subject ON waiting_pins (namespace, cause, subject);

