-- When an image was registered, and words that images are marked with.

-- Seconds since 1970; NULL: by a version that did not keep it.
ALTER TABLE images ADD COLUMN added_at INTEGER;

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
