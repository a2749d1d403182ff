-- Schema 6. Times are milliseconds since 1970 (UTC); paths are text where they are UTF-8, else blobs.
CREATE TABLE folder (
    id    INTEGER PRIMARY KEY,
    input ANY NOT NULL UNIQUE,              -- absolute path
    walked_to ANY,                          -- the last path that the walk for old rows has looked at
    walked_ms INTEGER                       -- when that walk last came to its end
) STRICT;
-- All states but done and failed mean that a file is still to be processed.
CREATE TABLE file (
    folder     INTEGER NOT NULL REFERENCES folder (id),
    path       ANY     NOT NULL,            -- relative to the folder's input
    length     INTEGER NOT NULL,            -- bytes
    mtime_ns   INTEGER NOT NULL,            -- nanoseconds since 1970
    recipe     INTEGER NOT NULL,            -- fingerprint of the recipe it was treated with
    state      TEXT    NOT NULL,            -- claimed, made, done, failed, released, waiting, asked
    changed_ms INTEGER NOT NULL,            -- when the state was entered
    crashes    INTEGER NOT NULL DEFAULT 0,  -- deaths of processes that count against this file
    step       TEXT,                        -- failed, waiting, released as incomplete, done with damage: in which step
    reason     TEXT,                        -- the same: why, or with what damage
    output     ANY,                         -- absolute path of the picture published last of this source; of several
                                            -- renditions all paths, as bytes, with a zero between them
    bytes      INTEGER,                     -- done: its length
    took_ms    INTEGER,                     -- done: from claim to published
    tries      INTEGER,                     -- waiting: how often it failed for what may pass
    next_ms    INTEGER,                     -- waiting: when it is tried next; owed: not before
    told_ms    INTEGER,                     -- waiting: when the log last told of it
    dues       INTEGER NOT NULL DEFAULT 0,  -- whether the source is to leave: 1 once done, 2 once failed
    inode      INTEGER,                     -- the source's, where it is to leave
    ctime_ns   INTEGER,                     -- the same: when anything of it last changed
    source     TEXT,                        -- done, failed: owed (it is still to leave), gone, else kept
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
-- The sources that are still to leave.
CREATE INDEX owed ON file (folder, path) WHERE source = 'owed';
-- Where outputs and folders that sources are moved to lay when they were last written to: a mount that
-- is away when the daemon starts is missed by that.
CREATE TABLE place (
    folder ANY PRIMARY KEY NOT NULL,        -- absolute path
    mount  ANY NOT NULL                     -- the mount point that it lies on
) STRICT;
-- How the last process fared: running, stopping, ended.
CREATE TABLE daemon (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL
) STRICT;
