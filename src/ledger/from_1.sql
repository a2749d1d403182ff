-- From schema 1 to 2: files that failed for what may pass wait for their next try.
ALTER TABLE file ADD COLUMN tries INTEGER;
ALTER TABLE file ADD COLUMN next_ms INTEGER;
ALTER TABLE file ADD COLUMN told_ms INTEGER;
