-- name: filters
-- :candidates, a JSON list of ids, has all that may pass: to look up the others is left out. `value AS asked`: json_each has an `id` of its own.
-- Which images may be hits: a part of the statements below, not one itself. NULL: no such filter. `km` is a function of `search.filters`, `album_pictures` one of `library.albums`.
(:inside IS NULL OR path GLOB :inside OR path GLOB :inside_folder OR path GLOB :inside_archive)
  AND (:after IS NULL OR coalesce(taken_at, mtime_ns / 1000000000) >= :after)
  AND (:before IS NULL OR coalesce(taken_at, mtime_ns / 1000000000) < :before)
  AND (:added_after IS NULL OR added_at >= :added_after)
  AND (:added_before IS NULL OR added_at < :added_before)
  AND (:min_size IS NULL OR min(width, height) >= :min_size)
  AND (:max_size IS NULL OR (width > 0 AND max(width, height) <= :max_size))
  AND (:shape IS NULL OR (width > 0 AND :shape = CASE
        WHEN 20 * min(width, height) >= 19 * max(width, height) THEN 'square'
        WHEN width > height THEN 'landscape' ELSE 'portrait' END))
  AND (:camera IS NULL OR camera LIKE :camera ESCAPE '\')
  AND (:km IS NULL OR (latitude IS NOT NULL AND longitude IS NOT NULL
        AND km(latitude, longitude, :latitude, :longitude) <= :km))
  AND (:labels IS NULL OR NOT EXISTS (
        SELECT 1 FROM (SELECT value AS asked FROM json_each(:labels))
        WHERE json_extract(asked, '$[1]') = EXISTS (
            SELECT 1 FROM labelled JOIN labels ON labels.id = labelled.label_id
            WHERE labelled.row = embedding_index AND labels.name = json_extract(asked, '$[0]'))))
  AND (:album IS NULL OR hash IN (SELECT from_hex(value) FROM json_each(album_pictures(:album))))
  AND (:candidates IS NULL OR id IN (SELECT value FROM json_each(:candidates)))
  AND (:where IS NULL OR NOT EXISTS (
        SELECT 1 FROM (SELECT value AS asked FROM json_each(:where))
        WHERE NOT EXISTS (
            SELECT 1 FROM fields
            WHERE fields.image_id = id AND fields.name = json_extract(asked, '$.name')
              AND json_extract(asked, '$.negated') <> (
                coalesce(fields.number >= json_extract(asked, '$.numbers[0]') AND fields.number <= json_extract(asked, '$.numbers[1]')
                         AND fields.number IS NOT json_extract(asked, '$.numbers[2]'), 0)
                OR coalesce(fields.value COLLATE NOCASE >= json_extract(asked, '$.texts[0]')
                            AND fields.value COLLATE NOCASE <= json_extract(asked, '$.texts[1]')
                            AND fields.value COLLATE NOCASE IS NOT json_extract(asked, '$.texts[2]'), 0)
                OR coalesce(fields.value LIKE json_extract(asked, '$.like') ESCAPE '\', 0)))))

-- name: known_path
-- Whether anything was ever known at a path, in the folder or in the archive that it names.
SELECT EXISTS (SELECT 1 FROM images WHERE path = :path)
    OR EXISTS (SELECT 1 FROM images WHERE path >= :path || '/' AND path < :path || '0')
    OR EXISTS (SELECT 1 FROM images WHERE path >= :path || '!/' AND path < :path || '!0');

-- name: known_name
-- The same of a name, or several from a folder on, wherever it stands in a path.
SELECT EXISTS (SELECT 1 FROM images
               WHERE instr(path, '/' || :path) > 0
                 AND (instr(path || '/', '/' || :path || '/') > 0 OR instr(path, '/' || :path || '!/') > 0));

-- name: contents_with_ids
-- The content hashes of some images (a JSON list of ids) that are there.
SELECT id, hash FROM images WHERE gone = 0 AND hash IS NOT NULL AND id IN (SELECT value FROM json_each(:ids));

-- name: read_at
-- The image at a path that was read.
SELECT hash, embedding_index, id, path, size, mtime_ns, root_id FROM images WHERE path = :path AND gone = 0 AND hash IS NOT NULL;

-- name: album_pictures
-- The contents of an album of pictures as a JSON list, NULL where there is none.
SELECT album_pictures(:album);

-- name: hits
-- The images of some rows of the embeddings (a JSON list) that are still there and pass the filters.
SELECT embedding_index, id, path, hash
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

-- name: allowed_images
-- The same with the images.
SELECT embedding_index, id
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL
  AND {filters};

-- name: images_with_ids
-- Those of some images (a JSON list of ids) that are there and pass the filters.
SELECT embedding_index, id, path
FROM images
WHERE id IN (SELECT value FROM json_each(:ids)) AND gone = 0 AND embedding_index IS NOT NULL
  AND {filters}
ORDER BY id;

-- name: of_shots
-- Images whose paths begin in the same way (:beginnings, a JSON list) up to a dot, and have no more than :longest characters from there.
SELECT beginning, path, id, coalesce(taken_at, mtime_ns / 1000000000)
FROM (SELECT value AS beginning FROM json_each(:beginnings)) CROSS JOIN images
WHERE images.id IN (SELECT beside.id FROM images AS beside
                    WHERE beside.path > beginning || '.' AND beside.path < beginning || '/'
                      AND length(beside.path) <= length(beginning) + :longest)
  AND gone = 0 AND embedding_index IS NOT NULL;

-- name: first_frame
-- The least id of the frames of a video, which have paths from :first to before :last, that pass the filters.
SELECT min(id) FROM images
WHERE path >= :first AND path < :last AND gone = 0 AND embedding_index IS NOT NULL AND {filters};

-- name: passing
-- Those of some images (a JSON list of ids) that pass the filters.
SELECT id FROM images WHERE id IN (SELECT value FROM json_each(:ids)) AND {filters};

-- name: row_of_image
SELECT embedding_index FROM images WHERE id = :image_id AND embedding_index IS NOT NULL;

-- name: exact_duplicates
-- Images with the same bytes; in the order of their row, so that a group comes in one piece.
SELECT embedding_index, id, path, size, mtime_ns, root_id
FROM images
WHERE gone = 0 AND embedding_index IN (
    SELECT embedding_index FROM images WHERE gone = 0 AND embedding_index IS NOT NULL
    GROUP BY embedding_index HAVING count(*) > 1)
ORDER BY embedding_index, id;

-- name: by_content
-- All embedded files in the order of their hashes.
SELECT hash, embedding_index, id, path, size, mtime_ns, root_id FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND hash IS NOT NULL ORDER BY hash, id;

-- name: taken_of_row
SELECT taken_at, camera FROM images WHERE embedding_index = :row AND gone = 0 ORDER BY id LIMIT 1;

-- name: members
SELECT embedding_index, id, path, size, mtime_ns, root_id FROM images
WHERE gone = 0 AND embedding_index IN (SELECT value FROM json_each(:rows)) ORDER BY embedding_index, id;

-- name: first_copy
-- That no earlier image with the same bytes passes the filters too: a part of the statements below. A new copy moves nothing.
NOT EXISTS (SELECT 1 FROM images AS earlier
            WHERE earlier.embedding_index = images.embedding_index AND earlier.id < images.id AND gone = 0 AND {filters})

-- name: browsed
-- The newest images that pass the filters, for a search without a query: behind one (:key, its time; :id).
-- The expressions are those of the index images_newest.
SELECT embedding_index, id, path, coalesce(taken_at, mtime_ns / 1000000000)
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL
  AND coalesce(taken_at, mtime_ns / 1000000000) <= :key AND (coalesce(taken_at, mtime_ns / 1000000000) < :key OR id > :id)
  AND {filters} AND {first_copy}
ORDER BY coalesce(taken_at, mtime_ns / 1000000000) DESC, id LIMIT :limit;

-- name: browsed_back
-- The same in the reverse order: those before one.
SELECT embedding_index, id, path, coalesce(taken_at, mtime_ns / 1000000000)
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL
  AND coalesce(taken_at, mtime_ns / 1000000000) >= :key AND (coalesce(taken_at, mtime_ns / 1000000000) > :key OR id < :id)
  AND {filters} AND {first_copy}
ORDER BY coalesce(taken_at, mtime_ns / 1000000000), id DESC LIMIT :limit;

-- name: last_added
-- The images that were registered last and pass the filters, behind one (:id). Ids are given in the order of registration.
SELECT embedding_index, id, path, coalesce(taken_at, mtime_ns / 1000000000)
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND id < :id AND {filters} AND {first_copy}
ORDER BY id DESC LIMIT :limit;

-- name: last_added_back
-- The same in the reverse order: those before one.
SELECT embedding_index, id, path, coalesce(taken_at, mtime_ns / 1000000000)
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND id > :id AND {filters} AND {first_copy}
ORDER BY id LIMIT :limit;

-- name: times
-- When images were taken (or their files changed), when they were registered, and what tells the pictures of a burst.
SELECT id, coalesce(taken_at, mtime_ns / 1000000000), added_at, taken_at, camera FROM images WHERE id IN (SELECT value FROM json_each(:ids));

-- name: newest_before
-- The time of the newest image before an instant.
SELECT max(coalesce(taken_at, mtime_ns / 1000000000)) FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND coalesce(taken_at, mtime_ns / 1000000000) < :before;

-- name: count_between
-- How many images there are between two instants, read from the index alone. Files with the same bytes are counted each.
SELECT count(*) FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL
  AND coalesce(taken_at, mtime_ns / 1000000000) >= :from AND coalesce(taken_at, mtime_ns / 1000000000) < :to;

-- name: days
-- How many images that pass the filters each day has: one walk over all, which for filters is faster than the index.
SELECT coalesce(taken_at, mtime_ns / 1000000000) / 86400, count(*) FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND {filters} GROUP BY 1;

-- name: facet_values
-- What is counted of an image: camera, shape, year and suffix.
camera,
       CASE WHEN width = 0 THEN '' WHEN 20 * min(width, height) >= 19 * max(width, height) THEN 'square'
            WHEN width > height THEN 'landscape' ELSE 'portrait' END,
       strftime('%Y', coalesce(taken_at, mtime_ns / 1000000000), 'unixepoch'),
       substr(path, length(rtrim(path, replace(path, '.', ''))) + 1),
       count(*)

-- name: facets
-- How many images that pass the filters have which camera, shape, year and suffix, all four together.
SELECT {facet_values}
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND {filters}
GROUP BY 1, 2, 3, 4;

-- name: label_facet
-- How many images that pass the filters have which label; of the images in :ids alone where it is no NULL.
SELECT (SELECT labels.name FROM labels WHERE labels.id = labelled.label_id), count(*)
FROM (SELECT embedding_index AS counted FROM images
      WHERE gone = 0 AND embedding_index IS NOT NULL AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
        AND {filters})
CROSS JOIN labelled ON labelled.row = counted
GROUP BY labelled.label_id;

-- name: facets_of
-- The same of some images (:ids, a JSON list), which pass the filters.
SELECT {facet_values}
FROM images
WHERE id IN (SELECT value FROM json_each(:ids)) AND gone = 0 AND embedding_index IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- name: columns
-- What is counted of each image, from one id on.
SELECT id, root_id, coalesce(taken_at, mtime_ns / 1000000000), width, height, camera, latitude, longitude, path, embedding_index
FROM images
WHERE id > :after AND gone = 0 AND embedding_index IS NOT NULL
ORDER BY id LIMIT :limit;

-- name: cameras_like
-- Those of some names (a JSON list) that pass the filter on cameras.
SELECT value FROM json_each(:names) WHERE value LIKE :camera ESCAPE '\';

-- name: id_of_path
SELECT id FROM images WHERE path = :path;

-- name: folders_of_roots
-- How many images that pass the filters each root has.
SELECT roots.path, (SELECT count(*) FROM images WHERE root_id = roots.id AND gone = 0 AND embedding_index IS NOT NULL AND {filters})
FROM roots ORDER BY roots.path;

-- name: folders_below
-- How many images that pass the filters lie in which folder of one: :first to :last are the paths below it, :start is where its own folders begin.
SELECT substr(path, :start, instr(substr(path, :start), '/') - 1) AS folder, count(*)
FROM images
WHERE path >= :first AND path < :last AND instr(substr(path, :start), '/') > 1 AND gone = 0 AND embedding_index IS NOT NULL AND {filters}
GROUP BY folder ORDER BY folder;

-- name: facts
-- What is shown with a hit.
SELECT id, width, height, taken_at, coalesce(taken_at, mtime_ns / 1000000000), added_at FROM images WHERE id IN (SELECT value FROM json_each(:ids));

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
