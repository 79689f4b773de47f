-- Private messages on the way in. What a member who is none of a group has of its messages is the pin, and its place here.

-- Masked pins by what they look like: who knows a group knows what its members' next pins look like, and nobody else does.
CREATE INDEX pins_masked ON pins (hash, namespace, sequence) WHERE masked = 1;
CREATE INDEX nextpins_hash ON nextpins (hash, namespace);

-- Of a masked pin that waits, `hash` is its context and `author` whose message is behind it; NULL while that is not known,
-- and empty when it can never be dispatched, so that it blocks nobody.
ALTER TABLE waiting_pins ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE waiting_pins ADD COLUMN author TEXT;

-- Broadcasts do not look at those: what looks like their context may be anything.
DROP INDEX waiting_pins_context;
CREATE INDEX waiting_pins_context ON waiting_pins (namespace, hash, pin) WHERE masked = 0;

-- A masked pin waits once its batch is here, which may be long after the search index has passed it.
CREATE TRIGGER masked_pins_wait AFTER INSERT ON waiting_pins WHEN new.masked = 1 BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('pins', new.pin);
END;

CREATE TRIGGER masked_pins_go AFTER DELETE ON waiting_pins WHEN old.masked = 1 BEGIN
    INSERT INTO search_changes (collection, sequence) VALUES ('pins', old.pin);
END;

-- At which pin the network knew whose key this is; NULL for what only this node says of itself. A private message may be
-- signed with a key that nobody owned when it was pinned.
ALTER TABLE verifiers ADD COLUMN pin INTEGER;

-- Why a private batch was refused when it was last offered: the newest few, for those who wait for it.
CREATE TABLE refusals (
    sequence  INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespaces (id),
    batch     BLOB NOT NULL,
    sender    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    created   INTEGER NOT NULL,
    UNIQUE (batch, namespace)
) STRICT;
