-- name: attach
ATTACH DATABASE CAST(:path AS TEXT) AS leader;

-- name: detach
DETACH DATABASE leader;

-- name: put_roots_aside
-- Two roots may have exchanged their names: no name is given before all are free.
UPDATE roots SET path = '?' || id;

-- name: follow_roots
INSERT INTO roots (id, path, device, exclude, offline, added_at, left_out)
SELECT id, path, device, exclude, offline, added_at, left_out FROM leader.roots WHERE true
ON CONFLICT (id) DO UPDATE
SET path = excluded.path, device = excluded.device, exclude = excluded.exclude, offline = excluded.offline,
    left_out = excluded.left_out;

-- name: begin_differing
CREATE TEMP TABLE IF NOT EXISTS differing (id INTEGER PRIMARY KEY);

-- name: forget_differing
DELETE FROM temp.differing;

-- name: note_differing
INSERT INTO temp.differing
SELECT images.id FROM images JOIN leader.images AS theirs USING (id)
WHERE images.path <> theirs.path OR images.root_id <> theirs.root_id OR images.gone <> theirs.gone
   OR images.size <> theirs.size OR images.mtime_ns <> theirs.mtime_ns
   OR coalesce(images.outcome = 'skipped' AND images.reason LIKE 'excluded%', 0)
      <> coalesce(theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%', 0);

-- name: put_paths_aside
UPDATE images SET path = '?' || id WHERE id IN (SELECT id FROM temp.differing);

-- name: follow_bytes
-- As `changed_on_disk`: whatever was known of other bytes is void.
UPDATE images
SET size = theirs.size, mtime_ns = theirs.mtime_ns, hash = theirs.hash, outcome = NULL, reason = NULL, transient = 0,
    embedding_index = NULL, width = theirs.width, height = theirs.height, taken_at = theirs.taken_at, camera = theirs.camera,
    latitude = theirs.latitude, longitude = theirs.longitude
FROM leader.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.differing)
  AND (images.size <> theirs.size OR images.mtime_ns <> theirs.mtime_ns);

-- name: follow_names
UPDATE images SET path = theirs.path, root_id = theirs.root_id, gone = theirs.gone
FROM leader.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.differing);

-- name: follow_excluded
UPDATE images SET outcome = 'skipped', reason = theirs.reason, transient = 0, embedding_index = NULL
FROM leader.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.differing)
  AND theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%';

-- name: follow_included
UPDATE images SET outcome = NULL, reason = NULL
FROM leader.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.differing)
  AND images.outcome = 'skipped' AND images.reason LIKE 'excluded%'
  AND NOT coalesce(theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%', 0);

-- name: follow_new
-- Pictures that cannot be decoded are not tried again for another model; what a model made of one is its own affair.
INSERT INTO images (id, root_id, path, size, mtime_ns, hash, outcome, reason, transient, gone, width, height, taken_at, camera,
                    latitude, longitude)
SELECT id, root_id, path, size, mtime_ns, hash, CASE WHEN kept THEN outcome END, CASE WHEN kept THEN reason END,
       CASE WHEN kept THEN transient ELSE 0 END, gone, width, height, taken_at, camera, latitude, longitude
FROM (SELECT *, outcome IS NOT NULL AND outcome IN ('failed', 'skipped') AND reason NOT LIKE 'no embedding%' AS kept
      FROM leader.images) AS theirs
WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.id = theirs.id);

-- name: lost
-- What the leader finds and this catalogue would not, by why.
SELECT CASE WHEN images.outcome IS NULL AND roots.offline IS NOT NULL THEN 'in folders that are offline'
            WHEN images.outcome IS NULL THEN 'not embedded yet'
            WHEN instr(images.reason, ':') THEN substr(images.reason, 1, instr(images.reason, ':') - 1)
            ELSE images.reason END AS why, count(*)
FROM leader.images AS theirs JOIN images USING (id) JOIN roots ON roots.id = images.root_id
WHERE theirs.embedding_index IS NOT NULL AND theirs.gone = 0 AND images.embedding_index IS NULL
GROUP BY why ORDER BY count(*) DESC;
