-- From schema 3 to 4: sources are known by their ctime as well, outputs by their mounts.
ALTER TABLE file ADD COLUMN ctime_ns INTEGER;
-- Where outputs and folders that sources are moved to lay when they were last written to: a mount that
-- is away when the daemon starts is missed by that.
CREATE TABLE place (
    folder ANY PRIMARY KEY NOT NULL,        -- absolute path
    mount  ANY NOT NULL                     -- the mount point that it lies on
) STRICT;
