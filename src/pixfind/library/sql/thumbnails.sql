-- Thumbnails made ahead: which contents come next. A content is a row of the embeddings; its first image stands for it.

-- name: next
-- Contents from one row on, in the order of the rows, whether their drive is there or not.
SELECT images.embedding_index, min(images.id), images.path, images.size, images.mtime_ns, images.hash, roots.offline IS NULL
FROM images JOIN roots ON roots.id = images.root_id
WHERE images.embedding_index >= :first AND images.gone = 0 AND images.hash IS NOT NULL
GROUP BY images.embedding_index ORDER BY images.embedding_index LIMIT :limit;
