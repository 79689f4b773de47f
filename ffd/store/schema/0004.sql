-- What a node knows of its own private messages, and nobody else does: their nonces, which of them wait for a batch, and
-- what it still owes to the nodes of the other members.

-- The nonce that an author used last in a private context, by the key of the two. Not by namespace: two of them may be
-- in one network, and there an author counts once.
CREATE TABLE nonces (
    hash  BLOB PRIMARY KEY,
    nonce INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Private messages that wait for a batch have an index of their own, so that neither they nor broadcasts are looked
-- through for the others; broadcasts pay nothing for it.
ALTER TABLE message_states ADD COLUMN private INTEGER;   -- 1 pinned, 2 unpinned; NULL when sent to all, or by others
CREATE INDEX message_states_private ON message_states (namespace, private, message)
 WHERE private IS NOT NULL AND state = 'ready' AND batch IS NULL;

-- What a node is owed: a row for each operation that is to bring it something, in that order, until it is settled.
CREATE TABLE owed (
    operation INTEGER PRIMARY KEY REFERENCES operations (sequence),
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    node      BLOB NOT NULL,
    batch     INTEGER NOT NULL REFERENCES batches (sequence),
    data      BLOB                   -- the item whose blob is meant; NULL for the batch itself
) STRICT;

CREATE INDEX owed_node ON owed (namespace, node, operation);
CREATE INDEX owed_batch ON owed (batch);
