-- The catalogue: what the library knows about files, and nothing about pixels. All text is valid UTF-8.

CREATE TABLE library (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE roots (
    id       INTEGER PRIMARY KEY,
    path     TEXT NOT NULL UNIQUE,        -- absolute, as `images.path`
    device   INTEGER NOT NULL,            -- st_dev when last seen online
    exclude  TEXT NOT NULL DEFAULT '[]',  -- JSON list of globs
    offline  TEXT,                        -- why the root is offline; NULL while it is online
    added_at REAL NOT NULL,
    left_out TEXT NOT NULL DEFAULT '{}',  -- JSON: files of known kinds that are not read, by suffix
    in_archives INTEGER NOT NULL DEFAULT 0, -- whether the archives below it are looked into
    settings TEXT NOT NULL DEFAULT '{}'   -- JSON object: what its source needs beside its path; never a secret
);

-- Archives that were looked into, as they were then. Only saves time: one that is not listed here is read again.
CREATE TABLE archives (
    path     TEXT PRIMARY KEY,             -- as `images.path`
    root_id  INTEGER NOT NULL,
    size     INTEGER NOT NULL,             -- of the archive itself
    mtime_ns INTEGER NOT NULL,
    left_out TEXT NOT NULL                 -- JSON: members of known kinds that are not read, by suffix
) WITHOUT ROWID;

-- One row per file that we try to decode. An id is never used twice, and never changes.
CREATE TABLE images (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    root_id         INTEGER NOT NULL REFERENCES roots (id),
    path            TEXT NOT NULL UNIQUE, -- absolute; bytes that are not UTF-8 as \xNN, see path_text.py
    size            INTEGER NOT NULL,
    mtime_ns        INTEGER NOT NULL,
    hash            BLOB,                 -- BLAKE3-128 of the content, known once it was read
    outcome         TEXT CHECK (outcome IN ('embedded', 'duplicate', 'failed', 'skipped')),
    reason          TEXT,
    transient       INTEGER NOT NULL DEFAULT 0, -- failed for a reason that may pass: tried again by the next run
    embedding_index INTEGER,              -- row of data/embeddings.npy; NULL until adopted
    gone            INTEGER NOT NULL DEFAULT 0,
    width           INTEGER NOT NULL DEFAULT 0, -- pixels, upright; 0 when unknown
    height          INTEGER NOT NULL DEFAULT 0,
    taken_at        INTEGER,              -- EXIF, seconds since 1970
    camera          TEXT NOT NULL DEFAULT '',
    latitude        REAL,
    longitude       REAL,
    added_at        INTEGER,              -- when it was registered, seconds since 1970; NULL: by a version that did not keep it
    CHECK ((embedding_index IS NOT NULL) = (outcome IS NOT NULL AND outcome IN ('embedded', 'duplicate')))
);

CREATE INDEX images_pending ON images (id) WHERE outcome IS NULL AND gone = 0;
CREATE INDEX images_outcome ON images (outcome, gone, root_id);
CREATE INDEX images_embedding_index ON images (embedding_index) WHERE embedding_index IS NOT NULL;
CREATE INDEX images_size ON images (size, mtime_ns);
CREATE INDEX images_newest ON images (coalesce(taken_at, mtime_ns / 1000000000), id) WHERE gone = 0 AND embedding_index IS NOT NULL;

-- Which rows hold a content: what an index on images.hash would say, filled in bulk (contents.py). Rows from the setting
-- `contents_rows` on are not in it yet. Derived, and only a hint: an image must still point to the row.
CREATE TABLE contents (
    hash_prefix     BLOB NOT NULL,        -- the first 6 bytes of images.hash
    embedding_index INTEGER NOT NULL,
    PRIMARY KEY (hash_prefix, embedding_index)
) WITHOUT ROWID;

-- What lists say of their pictures: the columns that `add LIST --keep` names.
CREATE TABLE fields (
    image_id INTEGER NOT NULL,
    name     TEXT NOT NULL,                -- of the column
    root_id  INTEGER NOT NULL,             -- the list
    value    TEXT NOT NULL,
    number   REAL,                         -- the value, where it is a number
    PRIMARY KEY (image_id, name, root_id)
) WITHOUT ROWID;

-- Of long values, such as captions, the beginning.
CREATE INDEX fields_value ON fields (name, substr(value, 1, 40) COLLATE NOCASE);
CREATE INDEX fields_number ON fields (name, number) WHERE number IS NOT NULL;

-- Words that images are marked with, where the model sees what they name.
CREATE TABLE labels (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    query   TEXT NOT NULL,                  -- what its images show, in the query language
    min_z   REAL,                           -- the lowest query_z of its images; NULL: by the cut-offs of searches
    encoder TEXT,                           -- which text encoder has made the vector; NULL until one has
    vector  BLOB,                           -- float32 [d], little-endian; empty where the model knows no word of it
    texts   REAL                            -- how many texts it amounts to
);

-- Which rows of the embeddings have which label. Derived: `index` makes it again.
CREATE TABLE labelled (
    row      INTEGER NOT NULL,              -- images.embedding_index
    label_id INTEGER NOT NULL,
    PRIMARY KEY (row, label_id)
) WITHOUT ROWID;

-- The text in pictures, by content: a copy has that of its original, and a moved file keeps its own. Made by hours of work, and so data.
CREATE TABLE texts (
    hash      BLOB PRIMARY KEY,             -- images.hash
    outcome   TEXT NOT NULL CHECK (outcome IN ('read', 'no text', 'failed')),
    reason    TEXT,                         -- of a failure
    transient INTEGER NOT NULL DEFAULT 0,   -- failed for a reason that may pass: tried again by the next run
    reader    TEXT NOT NULL,                -- what has read it, and its version
    lines     TEXT NOT NULL DEFAULT '[]'    -- JSON: [[text, confidence, [x, y, x, y, x, y, x, y]], ...], corners from 0 to 1
);

-- Rows of worker files that were adopted and may not be merged yet, as runs of consecutive rows.
CREATE TABLE adopted (
    embedding_index INTEGER PRIMARY KEY,  -- of the first row
    worker          INTEGER NOT NULL,
    first_row       INTEGER NOT NULL,     -- in the worker files
    rows            INTEGER NOT NULL
);

-- How many rows of each worker file have been looked at. Only saves time: adopting a row twice changes nothing.
CREATE TABLE worker_files (
    worker INTEGER PRIMARY KEY,
    rows   INTEGER NOT NULL
);

CREATE TABLE runs (
    id         INTEGER PRIMARY KEY,
    verb       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    host       TEXT NOT NULL,
    started_at REAL NOT NULL,
    ended_at   REAL,                      -- NULL while it runs, or when it was killed
    report     TEXT                       -- JSON
);
