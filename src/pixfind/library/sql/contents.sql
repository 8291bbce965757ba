-- Which row of the embeddings a content has.

-- name: row_of_content
-- Among the rows that are in `contents`. An image still has to point to the row: it may have changed since.
SELECT images.embedding_index FROM contents CROSS JOIN images ON images.embedding_index = contents.embedding_index
WHERE contents.hash_prefix = substr(:hash, 1, 6) AND images.hash = :hash LIMIT 1;

-- name: recent_row_of_content
-- Among those that are not in it yet, read one after the other.
SELECT embedding_index FROM images WHERE embedding_index >= :rows AND hash = :hash LIMIT 1;

-- name: is_content_of_row
SELECT EXISTS (SELECT 1 FROM images WHERE embedding_index = :embedding_index AND hash = :hash);

-- name: recent_contents
SELECT hash, embedding_index FROM images WHERE embedding_index >= :rows AND hash IS NOT NULL;

-- name: index_contents
-- In the order of the table: then each of its pages is written once.
INSERT OR IGNORE INTO contents (hash_prefix, embedding_index)
SELECT substr(hash, 1, 6), embedding_index FROM images
WHERE embedding_index >= :rows AND hash IS NOT NULL ORDER BY 1, 2;

-- name: index_content
INSERT OR IGNORE INTO contents (hash_prefix, embedding_index) VALUES (substr(:hash, 1, 6), :embedding_index);

-- name: forget_contents
DELETE FROM contents;

-- name: missing_contents
SELECT count(*) FROM images
WHERE embedding_index < :rows AND hash IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM contents WHERE hash_prefix = substr(hash, 1, 6) AND contents.embedding_index = images.embedding_index);

-- name: next_row
SELECT coalesce(max(embedding_index) + 1, 0) FROM images;
