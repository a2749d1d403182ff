-- From schema 2 to 3: sources leave once their pictures are dealt with.
ALTER TABLE file ADD COLUMN dues INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN inode INTEGER;
ALTER TABLE file ADD COLUMN ctime_ns INTEGER;
ALTER TABLE file ADD COLUMN source TEXT;
CREATE INDEX owed ON file (folder, path) WHERE source = 'owed';
-- Where outputs and folders that sources are moved to lay when they were last written to: a mount that
-- is away when the daemon starts is missed by that.
CREATE TABLE place (
    folder ANY PRIMARY KEY NOT NULL,        -- absolute path
    mount  ANY NOT NULL                     -- the mount point that it lies on
) STRICT;
