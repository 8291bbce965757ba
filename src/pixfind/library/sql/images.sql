-- name: ledger
-- One row per outcome (NULL: pending) and root, gone or not; read from one index.
SELECT outcome, gone, root_id, count(*) FROM images GROUP BY outcome, gone, root_id;

-- name: failures
SELECT path, reason, outcome FROM images
WHERE outcome IN ('failed', 'skipped') AND gone = 0 ORDER BY id LIMIT :limit;

-- name: failures_by_reason
-- Reasons are "kind: detail"; counted by kind. `reason_kind` is a function of `errors.former`: it knows the kinds of older versions too.
SELECT reason_kind(reason) AS kind, count(*)
FROM images WHERE outcome IN ('failed', 'skipped') AND gone = 0 GROUP BY kind ORDER BY count(*) DESC;

-- name: pending
-- What is left to do is a query, never a saved cursor. `same_size` tells that another file has the same size, so that only
-- such an image need be looked up by its hash before it is embedded.
SELECT id, path, size, mtime_ns,
       EXISTS (SELECT 1 FROM images AS other WHERE other.size = images.size AND other.id <> images.id) AS same_size
FROM images
WHERE outcome IS NULL AND gone = 0 AND id > :after AND id % :parts = :part
  AND root_id IN (SELECT id FROM roots WHERE offline IS NULL)
ORDER BY id LIMIT :limit;

-- name: known_pending
-- Images that wait although their bytes were read before.
SELECT id, hash FROM images WHERE outcome IS NULL AND gone = 0 AND hash IS NOT NULL;

-- name: count_pending
SELECT count(*) FROM images
WHERE outcome IS NULL AND gone = 0 AND id % :parts = :part AND root_id IN (SELECT id FROM roots WHERE offline IS NULL);

-- name: sample
-- Spread over the library by a hash of the id, the same ones each time.
SELECT path FROM images
WHERE gone = 0 AND root_id IN (SELECT id FROM roots WHERE offline IS NULL)
ORDER BY id * 2654435761 % 4294967296 LIMIT :limit;

-- name: retry_transient
-- Not an address of a list under which nothing was ever found: a list has many of them, and to ask for each takes a request.
UPDATE images SET outcome = NULL, reason = NULL, transient = 0
WHERE outcome = 'failed' AND transient = 1 AND NOT (size < 0 AND reason LIKE 'file missing%');

-- name: retry_failed
-- Not what its owner leaves out.
UPDATE images SET outcome = NULL, reason = NULL, transient = 0
WHERE outcome IN ('failed', 'skipped') AND gone = 0 AND NOT (outcome = 'skipped' AND reason LIKE 'excluded%');

-- name: retry_too_large
-- Skipped under a lower limit than now: "too large: 300 MP is over the limit of 200 MP; ..." (errors.TooLarge).
UPDATE images SET outcome = NULL, reason = NULL, transient = 0
WHERE outcome = 'skipped' AND reason LIKE 'too large:%'
  AND CAST(substr(reason, instr(reason, 'limit of ') + 9) AS REAL) < CAST(printf('%.6g', :megapixels) AS REAL);

-- name: adopt
-- Only a pending image with the very bytes that were embedded takes the row: so adopting twice changes nothing. A size below 0: nobody has
-- looked at the bytes before.
UPDATE images
SET outcome = :outcome, reason = NULL, transient = 0, embedding_index = :embedding_index, hash = :hash, size = :size, mtime_ns = :mtime_ns,
    width = :width, height = :height, taken_at = :taken_at, camera = :camera, latitude = :latitude, longitude = :longitude
WHERE id = :image_id AND outcome IS NULL AND (size < 0 OR (size = :size AND mtime_ns = :mtime_ns));

-- name: adopt_duplicate
-- As `adopt`: only for the very bytes that were hashed.
UPDATE images
SET outcome = 'duplicate', reason = NULL, transient = 0, hash = :hash, size = embedded.size,
    mtime_ns = CASE WHEN :size < 0 THEN embedded.mtime_ns ELSE :mtime_ns END, embedding_index = embedded.embedding_index,
    width = embedded.width, height = embedded.height, taken_at = embedded.taken_at, camera = embedded.camera,
    latitude = embedded.latitude, longitude = embedded.longitude
FROM (SELECT * FROM images WHERE embedding_index = :embedding_index AND hash = :hash LIMIT 1) AS embedded
WHERE images.id = :image_id AND images.outcome IS NULL
  AND (images.size < 0 OR (images.size = :size AND images.mtime_ns = :mtime_ns));

-- name: settle
UPDATE images SET outcome = :outcome, reason = :reason, transient = :transient WHERE id = :image_id AND outcome IS NULL;

-- name: changed_on_disk
-- The bytes are others than before: whatever was known of them is void.
UPDATE images
SET size = :size, mtime_ns = :mtime_ns, hash = NULL, outcome = NULL, reason = NULL, transient = 0, embedding_index = NULL,
    gone = 0, width = 0, height = 0, taken_at = NULL, camera = '', latitude = NULL, longitude = NULL
WHERE id = :image_id;

-- name: make_pending
UPDATE images SET outcome = NULL, reason = NULL, transient = 0, embedding_index = NULL WHERE embedding_index = :embedding_index;

-- name: make_pending_from
UPDATE images SET outcome = NULL, reason = NULL, transient = 0, embedding_index = NULL WHERE embedding_index >= :embedding_index;

-- name: live_rows
-- Rows of the embeddings that some image which is still there points to.
SELECT DISTINCT embedding_index FROM images WHERE embedding_index IS NOT NULL AND gone = 0;

-- name: embedded_rows
SELECT id, embedding_index, outcome, size, mtime_ns, hash FROM images
WHERE embedding_index >= :start AND embedding_index < :stop ORDER BY embedding_index;

-- name: image
SELECT id, path, root_id, size, mtime_ns, outcome, reason, embedding_index, gone, width, height, taken_at, camera,
       latitude, longitude
FROM images WHERE id = :id;

-- name: count_images
SELECT count(*) FROM images;

-- name: embedded_paths
SELECT path, embedding_index FROM images WHERE embedding_index IS NOT NULL AND gone = 0;
