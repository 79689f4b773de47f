-- What became of rows that had settled already, and of which a search index may therefore speak wrongly: whoever searches
-- looks at them here. The newest row is never removed, so that numbers rise for ever.
CREATE TABLE search_changes (
    change     INTEGER PRIMARY KEY,
    collection TEXT NOT NULL,
    sequence   INTEGER NOT NULL
) STRICT;

CREATE TRIGGER data_changed AFTER UPDATE ON data BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('data', old.sequence);
END;

CREATE TRIGGER data_deleted AFTER DELETE ON data BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('data', old.sequence);
END;

CREATE TRIGGER batches_changed AFTER UPDATE ON batches WHEN old.sent IS NOT NULL OR old.confirmed IS NOT NULL BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('batches', old.sequence);
END;

CREATE TRIGGER transactions_changed AFTER UPDATE ON transactions WHEN old.blockchain_ids IS NOT NULL BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('transactions', old.sequence);
END;

CREATE TRIGGER operations_changed AFTER UPDATE ON operations WHEN old.status NOT IN ('Initialized', 'Pending') BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('operations', old.sequence);
END;
