-- Thumbnails made ahead: which contents come next. A content is a row of the embeddings; one of its images stands for it.

-- name: next
-- Contents from one row on, in the order of the rows: the first image whose drive is there, else the first one. Columns without a function are those of the row with
-- the minimum (https://sqlite.org/lang_select.html#bareagg).
SELECT images.embedding_index, images.id, images.path, images.size, images.mtime_ns, images.hash, roots.offline IS NULL,
       min((roots.offline IS NOT NULL) * 4611686018427387904 + images.id)
FROM images JOIN roots ON roots.id = images.root_id
WHERE images.embedding_index >= :first AND images.gone = 0 AND images.hash IS NOT NULL
GROUP BY images.embedding_index ORDER BY images.embedding_index LIMIT :limit;
