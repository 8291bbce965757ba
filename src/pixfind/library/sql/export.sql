-- name: exported_images
-- Everything that is known of the images that have an embedding, in the order of their ids.
SELECT id, path, embedding_index, outcome, size, mtime_ns, width, height, taken_at, camera, latitude, longitude, added_at,
       (SELECT json_group_array(name) FROM (
            SELECT labels.name FROM labelled JOIN labels ON labels.id = labelled.label_id
            WHERE labelled.row = embedding_index ORDER BY labels.id))
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND embedding_index < :rows
ORDER BY id;

-- name: image_at
-- The image at a path, whether it is pending, and whether its root is offline.
SELECT images.id, images.path, size, mtime_ns, outcome IS NULL, roots.offline IS NOT NULL
FROM images JOIN roots ON roots.id = images.root_id WHERE images.path = :path AND gone = 0;

-- name: embedded_of_sizes
-- What has an embedding and one of some sizes (a JSON list), gone or not.
SELECT size, mtime_ns, hash, embedding_index FROM images
WHERE size IN (SELECT value FROM json_each(:sizes)) AND embedding_index IS NOT NULL AND hash IS NOT NULL;

-- name: left_behind
-- Pictures that are gone, and those that were excluded since, which are still there. What went to another part belongs to another library.
SELECT path, gone FROM images
WHERE gone = 1 OR (outcome = 'skipped' AND reason LIKE 'excluded: %' AND reason NOT LIKE 'excluded: not in part %');
