-- From schema 2 to 3: sources leave once their pictures are processed.
ALTER TABLE file ADD COLUMN dues INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN inode INTEGER;
ALTER TABLE file ADD COLUMN source TEXT;
CREATE INDEX owed ON file (folder, path) WHERE source = 'owed';
