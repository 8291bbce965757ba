-- name: exported_images
-- Everything that is known of the images that have an embedding, in the order of their ids.
SELECT id, path, embedding_index, outcome, size, mtime_ns, width, height, taken_at, camera, latitude, longitude
FROM images
WHERE gone = 0 AND embedding_index IS NOT NULL AND embedding_index < :rows
ORDER BY id;

-- name: image_at
-- The image at a path, and whether it is pending.
SELECT id, path, size, mtime_ns, outcome IS NULL FROM images WHERE path = :path AND gone = 0;
