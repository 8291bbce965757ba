-- name: filters
-- Which images may be hits: a part of the statements below, not one itself. NULL: no such filter. `km` is a function of `search.filters`.
(:inside IS NULL OR path GLOB :inside OR path GLOB :inside_folder OR path GLOB :inside_archive)
  AND (:after IS NULL OR coalesce(taken_at, mtime_ns / 1000000000) >= :after)
  AND (:before IS NULL OR coalesce(taken_at, mtime_ns / 1000000000) < :before)
  AND (:min_size IS NULL OR min(width, height) >= :min_size)
  AND (:max_size IS NULL OR (width > 0 AND max(width, height) <= :max_size))
  AND (:shape IS NULL OR (width > 0 AND :shape = CASE
        WHEN 20 * min(width, height) >= 19 * max(width, height) THEN 'square'
        WHEN width > height THEN 'landscape' ELSE 'portrait' END))
  AND (:camera IS NULL OR camera LIKE :camera ESCAPE '\')
  AND (:km IS NULL OR (latitude IS NOT NULL AND longitude IS NOT NULL
        AND km(latitude, longitude, :latitude, :longitude) <= :km))

-- name: hits
-- The images of some rows of the embeddings (a JSON list) that are still there and pass the filters.
SELECT embedding_index, id, path
FROM images
WHERE gone = 0 AND embedding_index IN (SELECT value FROM json_each(:rows))
  AND {filters}
ORDER BY embedding_index, id;

-- name: allowed_rows
-- Rows of the embeddings that some image passing the filters points to.
SELECT DISTINCT embedding_index
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL
  AND {filters};

-- name: of_shots
-- Images whose paths begin in the same way (:beginnings, a JSON list) up to a dot, and have no more than :longest characters from there.
SELECT beginning, path, id, coalesce(taken_at, mtime_ns / 1000000000)
FROM (SELECT value AS beginning FROM json_each(:beginnings)) CROSS JOIN images
WHERE images.id IN (SELECT beside.id FROM images AS beside
                    WHERE beside.path > beginning || '.' AND beside.path < beginning || '/'
                      AND length(beside.path) <= length(beginning) + :longest)
  AND gone = 0 AND embedding_index IS NOT NULL;

-- name: passing
-- Those of some images (a JSON list of ids) that pass the filters.
SELECT id FROM images WHERE id IN (SELECT value FROM json_each(:ids)) AND {filters};

-- name: row_of_image
SELECT embedding_index FROM images WHERE id = :image_id AND embedding_index IS NOT NULL;

-- name: exact_duplicates
-- Images with the same bytes; in the order of their row, so that a group comes in one piece.
SELECT embedding_index, id, path, size
FROM images
WHERE gone = 0 AND embedding_index IN (
    SELECT embedding_index FROM images WHERE gone = 0 AND embedding_index IS NOT NULL
    GROUP BY embedding_index HAVING count(*) > 1)
ORDER BY embedding_index, id;

-- name: first_path
SELECT path FROM images WHERE embedding_index = :row AND gone = 0 ORDER BY id LIMIT 1;

-- name: members
SELECT embedding_index, id, path, size FROM images
WHERE gone = 0 AND embedding_index IN (SELECT value FROM json_each(:rows)) ORDER BY embedding_index, id;

-- name: browsed
-- The newest images that pass the filters, for a search without a query, from the start or behind one (:key, its time; :id).
-- Of files with the same bytes the first, and its time, so that a new copy moves nothing. `min` makes `path` and `time` those of that row.
SELECT embedding_index, min(id) AS first, path, coalesce(taken_at, mtime_ns / 1000000000) AS time
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL
  AND {filters}
GROUP BY embedding_index
HAVING :key IS NULL OR time < :key OR (time = :key AND first > :id)
ORDER BY time DESC, first LIMIT :limit;

-- name: facts
-- What is shown with a hit.
SELECT id, width, height, taken_at FROM images WHERE id IN (SELECT value FROM json_each(:ids));

-- name: shown_image
-- One image that is still there, with the folder it was registered in.
SELECT images.path, roots.path, size, mtime_ns, hash, coalesce(outcome, 'pending'), reason, embedding_index,
       width, height, taken_at, camera, latitude, longitude
FROM images JOIN roots ON roots.id = root_id WHERE images.id = :image_id AND gone = 0;

-- name: paths_of_row
SELECT id, path FROM images WHERE embedding_index = :row AND gone = 0 ORDER BY id;

-- name: failures_page
SELECT id, path, reason FROM images
WHERE outcome IN ('failed', 'skipped') AND gone = 0
  AND (:reason IS NULL OR reason_kind(:reason) = reason_kind(reason))
ORDER BY id LIMIT :limit OFFSET :offset;
