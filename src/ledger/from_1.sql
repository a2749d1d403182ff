-- From schema 1 to 2: files that failed for what may pass wait for their next try, and deaths of
-- the process are told from its planned ends.
ALTER TABLE file ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN tries INTEGER;
ALTER TABLE file ADD COLUMN next_ms INTEGER;
ALTER TABLE file ADD COLUMN told_ms INTEGER;
CREATE TABLE daemon (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL
) STRICT;
