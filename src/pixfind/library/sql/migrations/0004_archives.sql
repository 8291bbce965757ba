-- Archives whose members are images: "/photos/2019.zip!/trip/a.jpg". Which were looked into, and what they were then.

ALTER TABLE roots ADD COLUMN in_archives INTEGER NOT NULL DEFAULT 0;  -- whether the archives below it are looked into

-- Only saves time: an archive that is not listed here is read again.
CREATE TABLE archives (
    path     TEXT PRIMARY KEY,             -- as `images.path`
    root_id  INTEGER NOT NULL,
    size     INTEGER NOT NULL,             -- of the archive itself when its members were registered
    mtime_ns INTEGER NOT NULL,
    left_out TEXT NOT NULL                 -- JSON: members of known kinds that are not read, by suffix
) WITHOUT ROWID;
