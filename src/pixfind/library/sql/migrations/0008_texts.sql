-- The text in pictures, by content: a copy has that of its original, and a moved file keeps its own. Made by hours of work, and so data.

CREATE TABLE texts (
    hash      BLOB PRIMARY KEY,             -- images.hash
    outcome   TEXT NOT NULL CHECK (outcome IN ('read', 'no text', 'failed')),
    reason    TEXT,                         -- of a failure
    transient INTEGER NOT NULL DEFAULT 0,   -- failed for a reason that may pass: tried again by the next run
    reader    TEXT NOT NULL,                -- what has read it, and its version
    lines     TEXT NOT NULL DEFAULT '[]'    -- JSON: [[text, confidence, [x, y, x, y, x, y, x, y]], ...], corners from 0 to 1
);
