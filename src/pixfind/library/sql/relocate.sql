-- `relocated` and `root_of` are functions of relocate.py: the path as it will be, and the root that it will be in.

-- name: below
path >= :first AND path < :last

-- name: affected
SELECT count(*), coalesce(sum(gone = 0 AND embedding_index IS NOT NULL), 0) FROM images WHERE {below};

-- name: taken
-- An image that stays and has the path that another would get.
SELECT other.path FROM images JOIN images AS other ON other.path = relocated(images.path)
WHERE images.path >= :first AND images.path < :last AND NOT (other.path >= :first AND other.path < :last) LIMIT 1;

-- name: homeless
-- An image that would lie in no root.
SELECT relocated(path) AS path FROM images WHERE {below} AND root_of(relocated(path), root_id) IS NULL LIMIT 1;

-- name: sample
-- Spread over all of them by a hash of the id.
SELECT path, size, mtime_ns, hash FROM images WHERE gone = 0 AND {below}
ORDER BY id * 2654435761 % 4294967296 LIMIT :limit;

-- name: begin
CREATE TEMP TABLE IF NOT EXISTS moved (id INTEGER PRIMARY KEY, path TEXT NOT NULL, root_id INTEGER NOT NULL, mtime_ns INTEGER NOT NULL);

-- name: forget
DELETE FROM temp.moved;

-- name: find
INSERT INTO temp.moved SELECT id, relocated(path), root_of(relocated(path), root_id), mtime_ns FROM images WHERE {below};

-- name: times
SELECT id, moved.path, images.size, images.mtime_ns FROM temp.moved JOIN images USING (id) WHERE gone = 0;

-- name: set_time
UPDATE temp.moved SET mtime_ns = :mtime_ns WHERE id = :id;

-- name: free_image_paths
-- Paths are UNIQUE, and a new one may be the old one of another image.
UPDATE images SET path = '?' || id WHERE id IN (SELECT id FROM temp.moved);

-- name: move_images
UPDATE images SET path = moved.path, root_id = moved.root_id, mtime_ns = moved.mtime_ns
FROM temp.moved WHERE images.id = moved.id;

-- name: forget_archives
-- Only saves time: the next scan reads them again, and finds the members that are known.
DELETE FROM archives WHERE {below};

-- name: set_device
UPDATE roots SET device = :device WHERE id = :id;

-- name: free_root_path
UPDATE roots SET path = '?' || id WHERE id = :id;

-- name: move_root
UPDATE roots SET path = :path WHERE id = :id;
