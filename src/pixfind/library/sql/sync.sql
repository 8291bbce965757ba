-- name: attach
ATTACH DATABASE CAST(:path AS TEXT) AS source;

-- name: detach
DETACH DATABASE source;

-- name: free_root_paths
-- Paths are UNIQUE and two roots may have swapped theirs: all get temporary paths first.
UPDATE roots SET path = '?' || id;

-- name: sync_roots
INSERT INTO roots (id, path, device, exclude, offline, added_at, left_out, in_archives)
SELECT id, path, device, exclude, offline, added_at, left_out, in_archives FROM source.roots WHERE true
ON CONFLICT (id) DO UPDATE
SET path = excluded.path, device = excluded.device, exclude = excluded.exclude, offline = excluded.offline,
    left_out = excluded.left_out, in_archives = excluded.in_archives;

-- name: begin_changed
CREATE TEMP TABLE IF NOT EXISTS changed (id INTEGER PRIMARY KEY);

-- name: clear_changed
DELETE FROM temp.changed;

-- name: find_changed
INSERT INTO temp.changed
SELECT images.id FROM images JOIN source.images AS theirs USING (id)
WHERE images.path <> theirs.path OR images.root_id <> theirs.root_id OR images.gone <> theirs.gone
   OR images.size <> theirs.size OR images.mtime_ns <> theirs.mtime_ns
   OR coalesce(images.outcome = 'skipped' AND images.reason LIKE 'excluded%', 0)
      <> coalesce(theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%', 0);

-- name: free_image_paths
UPDATE images SET path = '?' || id WHERE id IN (SELECT id FROM temp.changed);

-- name: sync_bytes
-- As `changed_on_disk`: whatever was known of other bytes is void. The same bytes with another time are the same (`relocate`).
UPDATE images
SET size = theirs.size, mtime_ns = theirs.mtime_ns, hash = theirs.hash, outcome = NULL, reason = NULL, transient = 0,
    embedding_index = NULL, width = theirs.width, height = theirs.height, taken_at = theirs.taken_at, camera = theirs.camera,
    latitude = theirs.latitude, longitude = theirs.longitude
FROM source.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.changed)
  AND (images.size <> theirs.size OR images.mtime_ns <> theirs.mtime_ns)
  AND (images.hash IS NULL OR theirs.hash IS NULL OR images.hash <> theirs.hash);

-- name: sync_paths
UPDATE images SET path = theirs.path, root_id = theirs.root_id, gone = theirs.gone, mtime_ns = theirs.mtime_ns
FROM source.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.changed);

-- name: sync_excluded
UPDATE images SET outcome = 'skipped', reason = theirs.reason, transient = 0, embedding_index = NULL
FROM source.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.changed)
  AND theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%';

-- name: sync_included
UPDATE images SET outcome = NULL, reason = NULL
FROM source.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.changed)
  AND images.outcome = 'skipped' AND images.reason LIKE 'excluded%'
  AND NOT coalesce(theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%', 0);

-- name: sync_new
-- Pictures that cannot be decoded are not tried again for another model; what a model made of one is its own affair.
INSERT INTO images (id, root_id, path, size, mtime_ns, hash, outcome, reason, transient, gone, width, height, taken_at, camera,
                    latitude, longitude)
SELECT id, root_id, path, size, mtime_ns, hash, CASE WHEN kept THEN outcome END, CASE WHEN kept THEN reason END,
       CASE WHEN kept THEN transient ELSE 0 END, gone, width, height, taken_at, camera, latitude, longitude
FROM (SELECT *, outcome IS NOT NULL AND outcome IN ('failed', 'skipped') AND reason NOT LIKE 'no embedding%' AS kept
      FROM source.images) AS theirs
WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.id = theirs.id);

-- name: lost
-- Images that the source finds and this catalogue would not, by reason.
SELECT CASE WHEN images.outcome IS NULL AND roots.offline IS NOT NULL THEN 'in folders that are offline'
            WHEN images.outcome IS NULL THEN 'not embedded yet'
            ELSE reason_kind(images.reason) END AS why, count(*)
FROM source.images AS theirs JOIN images USING (id) JOIN roots ON roots.id = images.root_id
WHERE theirs.embedding_index IS NOT NULL AND theirs.gone = 0 AND images.embedding_index IS NULL
GROUP BY why ORDER BY count(*) DESC;
