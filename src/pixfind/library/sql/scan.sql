-- name: last_id
SELECT coalesce(max(id), 0) FROM images;

-- name: between
-- Rows of files that are there, and whether they are of this root. A text with an escape is no path as it stands.
SELECT path, size, mtime_ns, id, root_id = :root_id,
       id <= :last_id AND gone = 0 AND instr(path, '\x') = 0 AND NOT (outcome IS NOT NULL AND outcome = 'skipped' AND reason LIKE 'excluded%')
FROM images WHERE path >= :first AND path <= :last ORDER BY path LIMIT :limit;

-- name: at
-- As `between`, of some paths (a JSON list).
SELECT images.path, images.size, images.mtime_ns, images.id, images.root_id = :root_id,
       images.id <= :last_id AND gone = 0 AND instr(images.path, '\x') = 0
       AND NOT (outcome IS NOT NULL AND outcome = 'skipped' AND reason LIKE 'excluded%')
FROM json_each(:paths) AS asked CROSS JOIN images ON images.path = asked.value;

-- name: count_present
-- In two parts: the first is read from an index alone.
SELECT (SELECT count(*) FROM images WHERE root_id = :root_id AND gone = 0 AND outcome IS NOT 'skipped' AND id <= :last_id)
     + (SELECT count(*) FROM images WHERE root_id = :root_id AND gone = 0 AND outcome = 'skipped' AND id <= :last_id AND reason NOT LIKE 'excluded%');

-- name: begin_batch
CREATE TEMP TABLE IF NOT EXISTS arrivals (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, position INTEGER) WITHOUT ROWID;

-- name: forget_arrivals
DELETE FROM temp.arrivals;

-- name: arrive
INSERT OR REPLACE INTO temp.arrivals (path, size, mtime_ns, position) VALUES (:path, :size, :mtime_ns, :position);

-- name: ids_of_arrivals
SELECT images.id FROM temp.arrivals CROSS JOIN images ON images.path = arrivals.path WHERE images.root_id = :root_id;

-- name: known_arrivals
-- Arrivals whose row says anything else than the file now does. A size below 0: nothing is known of it now. Without :takes those of other
-- roots are left out, unless these have no use for them.
SELECT images.id, arrivals.path, arrivals.size, arrivals.mtime_ns,
       arrivals.size >= 0 AND (images.size <> arrivals.size OR images.mtime_ns <> arrivals.mtime_ns) AS changed,
       images.gone, images.outcome, images.reason
FROM temp.arrivals CROSS JOIN images ON images.path = arrivals.path
WHERE (arrivals.size >= 0 AND (images.size <> arrivals.size OR images.mtime_ns <> arrivals.mtime_ns) AND (:takes OR images.root_id = :root_id))
   OR images.gone = 1 OR (:takes AND images.root_id <> :root_id)
   OR (images.outcome = 'skipped' AND images.reason LIKE 'excluded%');

-- name: perhaps_moved
-- New arrivals of which a known image has the size and time: it may be the same file under another name.
SELECT path, size, mtime_ns FROM temp.arrivals
WHERE size >= 0 AND NOT EXISTS (SELECT 1 FROM images WHERE images.path = arrivals.path)
  AND EXISTS (SELECT 1 FROM images WHERE images.size = arrivals.size AND images.mtime_ns = arrivals.mtime_ns);

-- name: first_new_arrivals
SELECT path FROM temp.arrivals WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.path = arrivals.path) LIMIT :limit;

-- name: insert_new_arrivals
-- Workers read images by their ids: members of an archive in the order in which they lie there.
INSERT INTO images (root_id, path, size, mtime_ns, added_at)
SELECT :root_id, path, size, mtime_ns, :now FROM temp.arrivals
WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.path = arrivals.path) ORDER BY position;

-- name: movable
-- Images that a new file of this size and time might be, under a new name; those whose path is lost lie nowhere else.
SELECT images.id, images.path, images.hash, roots.offline IS NOT NULL AND roots.path != '?' FROM images JOIN roots ON roots.id = images.root_id
WHERE images.size = :size AND images.mtime_ns = :mtime_ns LIMIT 500;

-- name: move_image
UPDATE images SET path = :path, root_id = :root_id, gone = 0,
    outcome = CASE WHEN outcome = 'skipped' AND reason LIKE 'excluded%' THEN NULL ELSE outcome END
WHERE id = :image_id;

-- name: returned
UPDATE images SET gone = 0, root_id = :root_id,
    outcome = CASE WHEN outcome = 'skipped' AND reason LIKE 'excluded%' THEN NULL ELSE outcome END
WHERE id = :image_id;

-- name: present
SELECT id, path FROM images
WHERE root_id = :root_id AND gone = 0 AND path >= :first AND path < :last
  AND NOT (outcome IS NOT NULL AND outcome = 'skipped' AND reason LIKE 'excluded%');

-- name: present_of_root
SELECT id FROM images
WHERE root_id = :root_id AND gone = 0 AND NOT (outcome IS NOT NULL AND outcome = 'skipped' AND reason LIKE 'excluded%')
LIMIT :limit;

-- name: any_at
SELECT 1 FROM images WHERE path >= :first AND path < :last AND gone = 0 LIMIT 1;

-- name: mark_gone
UPDATE images SET gone = 1 WHERE id = :image_id;

-- name: exclude_image
UPDATE images SET outcome = 'skipped', reason = :reason, transient = 0, embedding_index = NULL WHERE id = :image_id;

-- name: roots
SELECT id, path, device, exclude, offline, left_out, in_archives, settings FROM roots ORDER BY id;

-- name: add_root
INSERT INTO roots (path, device, exclude, added_at, settings) VALUES (:path, :device, :exclude, :added_at, :settings);

-- name: set_root
UPDATE roots SET device = :device, exclude = :exclude, offline = :offline WHERE id = :id;

-- name: set_settings
UPDATE roots SET settings = :settings WHERE id = :id;

-- name: set_left_out
UPDATE roots SET left_out = :left_out WHERE id = :id;

-- name: sample_of_root
SELECT path, size, mtime_ns FROM images WHERE root_id = :root_id AND gone = 0 ORDER BY id LIMIT :limit;

-- name: count_of_root
SELECT count(*) FROM images WHERE root_id = :root_id AND gone = 0;

-- name: look_into_archives
UPDATE roots SET in_archives = 1 WHERE path = :path;

-- name: archive
SELECT size, mtime_ns, left_out FROM archives WHERE path = :path;

-- name: archives_of_root
SELECT path FROM archives WHERE root_id = :root_id AND path >= :first AND path < :last;

-- name: remember_archive
INSERT OR REPLACE INTO archives (path, root_id, size, mtime_ns, left_out) VALUES (:path, :root_id, :size, :mtime_ns, :left_out);

-- name: forget_archive
DELETE FROM archives WHERE path = :path;

-- name: forget_archives
DELETE FROM archives WHERE root_id = :root_id;

-- name: members
-- Those that were excluded are not counted as present either.
SELECT id FROM images
WHERE root_id = :root_id AND gone = 0 AND path >= :first AND path < :last
  AND NOT (outcome IS NOT NULL AND outcome = 'skipped' AND reason LIKE 'excluded%');
