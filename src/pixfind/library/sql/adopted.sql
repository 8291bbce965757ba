-- Rows of worker files: how far they have been scanned, and which were adopted and are not merged yet.

-- name: rows_scanned
SELECT rows FROM worker_files WHERE worker = :worker;

-- name: set_rows_scanned
INSERT OR REPLACE INTO worker_files (worker, rows) VALUES (:worker, :rows);

-- name: record_adopted
INSERT INTO adopted (embedding_index, worker, first_row, rows) VALUES (:embedding_index, :worker, :first_row, :rows);

-- name: adopted_runs
SELECT embedding_index, worker, first_row, rows FROM adopted ORDER BY embedding_index;

-- name: has_adopted
-- Whether a worker file has adopted rows from `row` on that are not merged yet.
SELECT EXISTS (SELECT 1 FROM adopted WHERE worker = :worker AND first_row + rows > :row);

-- name: forget_merged
DELETE FROM adopted WHERE embedding_index + rows <= :merged_rows;

-- name: forget_adopted
DELETE FROM adopted;

-- name: forget_rows_scanned
DELETE FROM worker_files;
