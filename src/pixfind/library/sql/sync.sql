-- name: attach
ATTACH DATABASE CAST(:path AS TEXT) AS source;

-- name: detach
DETACH DATABASE source;

-- name: free_root_paths
-- Paths are UNIQUE and two roots may have swapped theirs: all get temporary paths first.
UPDATE roots SET path = '?' || id;

-- name: sync_roots
INSERT INTO roots (id, path, device, exclude, offline, added_at, left_out, in_archives, settings)
SELECT id, path, device, exclude, offline, added_at, left_out, in_archives, settings FROM source.roots WHERE true
ON CONFLICT (id) DO UPDATE
SET path = excluded.path, device = excluded.device, exclude = excluded.exclude, offline = excluded.offline,
    left_out = excluded.left_out, in_archives = excluded.in_archives, settings = excluded.settings;

-- name: begin_changed
CREATE TEMP TABLE IF NOT EXISTS changed (id INTEGER PRIMARY KEY);

-- name: clear_changed
DELETE FROM temp.changed;

-- name: find_changed
INSERT INTO temp.changed
SELECT images.id FROM images JOIN source.images AS theirs USING (id)
WHERE images.path <> theirs.path OR images.root_id <> theirs.root_id OR images.gone <> theirs.gone
   OR (theirs.size >= 0 AND (images.size <> theirs.size OR images.mtime_ns <> theirs.mtime_ns))
   OR coalesce(images.outcome = 'skipped' AND images.reason LIKE 'excluded%', 0)
      <> coalesce(theirs.outcome = 'skipped' AND theirs.reason LIKE 'excluded%', 0);

-- name: free_image_paths
UPDATE images SET path = '?' || id WHERE id IN (SELECT id FROM temp.changed);

-- name: sync_bytes
-- As `changed_on_disk`: whatever was known of other bytes is void. A size below 0: there they were never looked at. The same bytes with another time are the same (`relocate`).
UPDATE images
SET size = theirs.size, mtime_ns = theirs.mtime_ns, hash = theirs.hash, outcome = NULL, reason = NULL, transient = 0,
    embedding_index = NULL, width = theirs.width, height = theirs.height, taken_at = theirs.taken_at, camera = theirs.camera,
    latitude = theirs.latitude, longitude = theirs.longitude
FROM source.images AS theirs
WHERE images.id = theirs.id AND images.id IN (SELECT id FROM temp.changed)
  AND theirs.size >= 0 AND (images.size <> theirs.size OR images.mtime_ns <> theirs.mtime_ns)
  AND (images.hash IS NULL OR theirs.hash IS NULL OR images.hash <> theirs.hash);

-- name: sync_paths
UPDATE images SET path = theirs.path, root_id = theirs.root_id, gone = theirs.gone,
    mtime_ns = CASE WHEN theirs.size >= 0 THEN theirs.mtime_ns ELSE images.mtime_ns END
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
                    latitude, longitude, added_at)
SELECT id, root_id, path, size, mtime_ns, hash, CASE WHEN kept THEN outcome END, CASE WHEN kept THEN reason END,
       CASE WHEN kept THEN transient ELSE 0 END, gone, width, height, taken_at, camera, latitude, longitude, added_at
FROM (SELECT *, outcome IS NOT NULL AND outcome IN ('failed', 'skipped') AND reason NOT LIKE 'no embedding%' AS kept
      FROM source.images) AS theirs
WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.id = theirs.id);

-- name: sync_old_fields
DELETE FROM fields
WHERE NOT EXISTS (SELECT 1 FROM source.fields AS theirs WHERE theirs.image_id = fields.image_id AND theirs.name = fields.name
                  AND theirs.root_id = fields.root_id AND theirs.value = fields.value);

-- name: sync_new_fields
INSERT INTO fields (image_id, name, root_id, value, number)
SELECT image_id, name, root_id, value, number FROM source.fields AS theirs
WHERE NOT EXISTS (SELECT 1 FROM fields WHERE fields.image_id = theirs.image_id AND fields.name = theirs.name
                  AND fields.root_id = theirs.root_id);

-- name: sync_texts
-- What was read is the same for every model.
INSERT OR REPLACE INTO texts (hash, outcome, reason, transient, reader, lines)
SELECT hash, outcome, reason, transient, reader, lines FROM source.texts;

-- name: sync_old_labels
-- Of a label that is another now nothing is labelled yet (`labelling`).
DELETE FROM labels
WHERE NOT EXISTS (SELECT 1 FROM source.labels AS theirs WHERE theirs.id = labels.id AND theirs.name = labels.name
                  AND theirs.query = labels.query AND theirs.min_z IS labels.min_z);

-- name: sync_old_marked
-- Before the marks themselves: a new label with the id and the query of one that went is to be looked for as well.
DELETE FROM library WHERE key = 'labelled' AND EXISTS (SELECT 1 FROM labelled WHERE label_id NOT IN (SELECT id FROM labels));

-- name: sync_old_marks
-- Before the new labels, which may have the ids of those that went.
DELETE FROM labelled WHERE label_id NOT IN (SELECT id FROM labels);

-- name: sync_new_labels
INSERT INTO labels (id, name, query, min_z)
SELECT id, name, query, min_z FROM source.labels AS theirs
WHERE NOT EXISTS (SELECT 1 FROM labels WHERE labels.id = theirs.id);

-- name: sync_settings
INSERT OR REPLACE INTO library (key, value) SELECT key, value FROM source.library WHERE key IN ('read_text', 'thumbnails');

-- name: lost
-- Images that the source finds and this catalogue would not, by reason.
SELECT CASE WHEN images.outcome IS NULL AND roots.offline IS NOT NULL THEN 'in folders that are offline'
            WHEN images.outcome IS NULL THEN 'not embedded yet'
            ELSE reason_kind(images.reason) END AS why, count(*)
FROM source.images AS theirs JOIN images USING (id) JOIN roots ON roots.id = images.root_id
WHERE theirs.embedding_index IS NOT NULL AND theirs.gone = 0 AND images.embedding_index IS NULL
GROUP BY why ORDER BY count(*) DESC;
