-- Two namespaces of a node may be in one network: both know its transactions, each for itself.
CREATE TABLE new_transactions (
    sequence        INTEGER PRIMARY KEY,
    id              BLOB NOT NULL,
    namespace       INTEGER NOT NULL REFERENCES namespaces (id),
    type            TEXT NOT NULL,
    created         INTEGER NOT NULL,
    idempotency_key TEXT,
    blockchain_ids  TEXT,
    UNIQUE (id, namespace)   -- not the other way: no query should walk a namespace by id
) STRICT;

INSERT INTO new_transactions (sequence, id, namespace, type, created, idempotency_key, blockchain_ids)
SELECT sequence, id, namespace, type, created, idempotency_key, blockchain_ids FROM transactions ORDER BY sequence;

DROP TABLE transactions;
ALTER TABLE new_transactions RENAME TO transactions;

CREATE UNIQUE INDEX transactions_idempotency ON transactions (namespace, idempotency_key)
 WHERE idempotency_key IS NOT NULL;

CREATE TRIGGER transactions_changed AFTER UPDATE ON transactions WHEN old.blockchain_ids IS NOT NULL BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('transactions', old.sequence);
END;

-- All namespaces of the node at once, for subscriptions that span them. No name of a namespace can be like this one.
INSERT INTO namespaces (id, name, network_name, created) VALUES (0, '*', '*', 0);
