-- An index on a hash is written to at random places: each embedded image cost two whole pages. `contents` says the same and is filled in bulk.

CREATE TABLE contents (
    hash_prefix     BLOB NOT NULL,        -- the first 6 bytes of images.hash
    embedding_index INTEGER NOT NULL,
    PRIMARY KEY (hash_prefix, embedding_index)
) WITHOUT ROWID;

INSERT OR IGNORE INTO contents (hash_prefix, embedding_index)
SELECT substr(hash, 1, 6), embedding_index FROM images
WHERE embedding_index IS NOT NULL AND hash IS NOT NULL ORDER BY 1, 2;

INSERT INTO library (key, value)
SELECT 'contents_rows', coalesce(max(embedding_index) + 1, 0) FROM images;

DROP INDEX images_hash;
