-- name: integrity_check
-- Not quick_check: it passes over an index that no longer says what its table does.
PRAGMA integrity_check(1);

-- name: reindex
REINDEX;

-- name: text_columns
-- Of each table that has text.
SELECT tables.name, group_concat(columns.name)
FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND columns.type = 'TEXT' GROUP BY tables.name;

-- name: key_columns
-- Of each table without a rowid.
SELECT tables.name, group_concat(columns.name)
FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND tables.sql LIKE '%WITHOUT ROWID' AND columns.pk GROUP BY tables.name;

-- name: failed_without_reason
SELECT id FROM images WHERE outcome = 'failed' AND coalesce(reason, '') = '' LIMIT 10;

-- name: images_beyond
-- Images whose embedding_index lies behind the last row that was ever adopted.
SELECT count(*) FROM images WHERE embedding_index >= :rows;

-- name: is_wanted
-- No row: the image is unknown. 1: it is waiting for exactly these bytes. Else its row is orphaned.
SELECT outcome IS NULL AND gone AND (size < 0 OR (size = :size AND mtime_ns = :mtime_ns)) FROM images WHERE id = :image_id;

-- name: recover_image
INSERT OR IGNORE INTO images (id, root_id, path, size, mtime_ns, gone)
VALUES (:image_id, :root_id, '?' || :image_id, :size, :mtime_ns, 1);

-- name: add_unknown_root
INSERT OR IGNORE INTO roots (path, device, added_at, offline) VALUES ('?', 0, :added_at, 'unknown');

-- name: unknown_root
SELECT id FROM roots WHERE path = '?';

-- name: checkpoint
PRAGMA wal_checkpoint(TRUNCATE);
