-- Images in the order in which they are browsed, so that a page of them, and how many a month has, cost no walk over all.

CREATE INDEX images_newest ON images (coalesce(taken_at, mtime_ns / 1000000000), id) WHERE gone = 0 AND embedding_index IS NOT NULL;
