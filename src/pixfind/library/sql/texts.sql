-- The text in pictures: what was read, and what is left to do. A content is a row of the embeddings; its first image stands for it.

-- name: waiting
-- Contents of which nothing is known; a part of the statements below.
images.gone = 0 AND images.embedding_index IS NOT NULL AND images.hash IS NOT NULL
  AND images.root_id IN (SELECT id FROM roots WHERE offline IS NULL)
  AND NOT EXISTS (SELECT 1 FROM texts WHERE texts.hash = images.hash)

-- name: pending
SELECT min(id), embedding_index FROM images WHERE {waiting} GROUP BY embedding_index ORDER BY 1;

-- name: count_pending
SELECT count(DISTINCT embedding_index) FROM images WHERE {waiting};

-- name: images
SELECT id, path, size, mtime_ns FROM images
WHERE id IN (SELECT value FROM json_each(:ids)) AND root_id IN (SELECT id FROM roots WHERE offline IS NULL);

-- name: keep
INSERT OR REPLACE INTO texts (hash, outcome, reason, transient, reader, lines) VALUES (:hash, :outcome, NULL, 0, :reader, :lines);

-- name: fail
INSERT OR REPLACE INTO texts (hash, outcome, reason, transient, reader)
SELECT hash, 'failed', :reason, :transient, :reader FROM images WHERE id = :image_id AND hash IS NOT NULL;

-- name: retry_transient
DELETE FROM texts WHERE outcome = 'failed' AND transient = 1;

-- name: retry_failed
DELETE FROM texts WHERE outcome = 'failed';

-- name: ledger
-- Contents that some image has, by outcome; NULL: pending.
SELECT outcome, count(*) FROM (
    SELECT DISTINCT images.embedding_index, texts.outcome FROM images LEFT JOIN texts ON texts.hash = images.hash
    WHERE images.gone = 0 AND images.embedding_index IS NOT NULL)
GROUP BY outcome;

-- name: failures
SELECT reason_kind(reason) AS kind, count(*) FROM texts WHERE outcome = 'failed' GROUP BY kind ORDER BY count(*) DESC;

-- name: lines_of_images
SELECT images.id, texts.lines FROM images JOIN texts ON texts.hash = images.hash
WHERE images.id IN (SELECT value FROM json_each(:ids)) AND texts.outcome = 'read';

-- name: any
SELECT EXISTS (SELECT 1 FROM texts WHERE outcome = 'read');
