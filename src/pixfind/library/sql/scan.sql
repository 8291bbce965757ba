-- name: last_id
SELECT coalesce(max(id), 0) FROM images;

-- name: between
-- Whether a row is of a file that is known as it is. A text with an escape is no path as it stands.
SELECT path, size, mtime_ns, id,
       id <= :last_id AND root_id = :root_id AND gone = 0 AND instr(path, '\x') = 0 AND NOT (outcome IS NOT NULL AND outcome = 'skipped' AND reason LIKE 'excluded%')
FROM images WHERE path >= :first AND path <= :last ORDER BY path LIMIT :limit;

-- name: count_present
-- In two parts: the first is read from an index alone.
SELECT (SELECT count(*) FROM images WHERE root_id = :root_id AND gone = 0 AND outcome IS NOT 'skipped' AND id <= :last_id)
     + (SELECT count(*) FROM images WHERE root_id = :root_id AND gone = 0 AND outcome = 'skipped' AND id <= :last_id AND reason NOT LIKE 'excluded%');

-- name: begin_batch
CREATE TEMP TABLE IF NOT EXISTS arrivals (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER) WITHOUT ROWID;

-- name: forget_arrivals
DELETE FROM temp.arrivals;

-- name: arrive
INSERT OR REPLACE INTO temp.arrivals (path, size, mtime_ns) VALUES (:path, :size, :mtime_ns);

-- name: ids_of_arrivals
SELECT images.id FROM temp.arrivals CROSS JOIN images ON images.path = arrivals.path;

-- name: known_arrivals
-- Arrivals whose row says anything else than the file now does.
SELECT images.id, arrivals.path, arrivals.size, arrivals.mtime_ns,
       images.size <> arrivals.size OR images.mtime_ns <> arrivals.mtime_ns AS changed, images.gone, images.outcome, images.reason
FROM temp.arrivals CROSS JOIN images ON images.path = arrivals.path
WHERE images.size <> arrivals.size OR images.mtime_ns <> arrivals.mtime_ns OR images.gone = 1 OR images.root_id <> :root_id
   OR (images.outcome = 'skipped' AND images.reason LIKE 'excluded%');

-- name: perhaps_moved
-- New arrivals of which a known image has the size and time: it may be the same file under another name.
SELECT path, size, mtime_ns FROM temp.arrivals
WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.path = arrivals.path)
  AND EXISTS (SELECT 1 FROM images WHERE images.size = arrivals.size AND images.mtime_ns = arrivals.mtime_ns);

-- name: first_new_arrivals
SELECT path FROM temp.arrivals WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.path = arrivals.path) LIMIT :limit;

-- name: insert_new_arrivals
INSERT INTO images (root_id, path, size, mtime_ns)
SELECT :root_id, path, size, mtime_ns FROM temp.arrivals
WHERE NOT EXISTS (SELECT 1 FROM images WHERE images.path = arrivals.path) ORDER BY path;

-- name: movable
-- Images that a new file of this size and time might be, under a new name.
SELECT id, path, hash FROM images WHERE size = :size AND mtime_ns = :mtime_ns LIMIT 500;

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
SELECT id, path, device, exclude, offline, left_out, in_archives FROM roots ORDER BY id;

-- name: add_root
INSERT INTO roots (path, device, exclude, added_at) VALUES (:path, :device, :exclude, :added_at);

-- name: set_root
UPDATE roots SET device = :device, exclude = :exclude, offline = :offline WHERE id = :id;

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
