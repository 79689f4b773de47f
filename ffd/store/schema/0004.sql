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

-- A batch that is given up: when somebody asked for that, and when it was. `place` is the sequence of the batch in whose
-- stead another one leaves, to fill the gap that its masked pins would be.
ALTER TABLE batches ADD COLUMN cancel INTEGER;
ALTER TABLE batches ADD COLUMN cancelled INTEGER;
ALTER TABLE batches ADD COLUMN place INTEGER;
DROP INDEX batches_unsent;
CREATE INDEX batches_unsent ON batches (namespace, sequence) WHERE sealed = 1 AND sent IS NULL AND cancelled IS NULL;
DROP TRIGGER batches_changed;
CREATE TRIGGER batches_changed AFTER UPDATE ON batches
  WHEN old.sent IS NOT NULL OR old.confirmed IS NOT NULL OR old.cancelled IS NOT NULL BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('batches', old.sequence);
END;
