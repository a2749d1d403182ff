-- A ledger as the first version left it: a fixture of the tests.
CREATE TABLE folder (
    id    INTEGER PRIMARY KEY,
    input ANY NOT NULL UNIQUE               -- absolute path
) STRICT;
CREATE TABLE file (
    folder     INTEGER NOT NULL REFERENCES folder (id),
    path       ANY     NOT NULL,            -- relative to the folder's input
    length     INTEGER NOT NULL,            -- bytes
    mtime_ns   INTEGER NOT NULL,            -- nanoseconds since 1970
    recipe     INTEGER NOT NULL,            -- fingerprint of the recipe it was treated with
    state      TEXT    NOT NULL,            -- claimed, done, failed, released
    changed_ms INTEGER NOT NULL,            -- when the state was entered
    crashes    INTEGER NOT NULL DEFAULT 0,  -- how often a process ended with this file in hand
    step       TEXT,                        -- failed: in which step
    reason     TEXT,                        -- failed: why
    output     ANY,                         -- done: absolute path of the published picture
    bytes      INTEGER,                     -- done: its length
    took_ms    INTEGER,                     -- done: from claim to published
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
INSERT INTO folder VALUES (7, '/in');
INSERT INTO file VALUES (7, 'done.jpg', 1, -3, 5, 'done', 9, 0, NULL, NULL, '/out/done.jpg', 8, 7);
INSERT INTO file VALUES (7, 'bad.jpg', 2, -3, 5, 'failed', 9, 0, 'decode', 'no picture', NULL, NULL, NULL);
INSERT INTO file VALUES (7, 'open.jpg', 3, -3, 5, 'claimed', 9, 0, NULL, NULL, NULL, NULL, NULL);
PRAGMA user_version = 1;
