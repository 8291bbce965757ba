-- Labels, and which rows of the embeddings have them.

-- name: all
SELECT id, name, query, min_z, encoder, vector, texts FROM labels ORDER BY id;

-- name: names
SELECT name, id FROM labels ORDER BY id;

-- name: forget_all
DELETE FROM labels;

-- name: add
INSERT INTO labels (name, query, min_z) VALUES (:name, :query, :min_z);

-- name: set_vector
UPDATE labels SET encoder = :encoder, vector = :vector, texts = :texts WHERE id = :id;

-- name: unmark_all
DELETE FROM labelled;

-- name: mark
INSERT OR IGNORE INTO labelled (row, label_id) VALUES (:row, :label_id);

-- name: counts
-- How many images have which label; files with the same bytes are counted each.
SELECT labels.name, (SELECT count(*) FROM labelled JOIN images ON images.embedding_index = labelled.row
                     WHERE labelled.label_id = labels.id AND images.gone = 0)
FROM labels ORDER BY labels.id;

-- name: of_row
SELECT labels.name FROM labelled JOIN labels ON labels.id = labelled.label_id WHERE labelled.row = :row ORDER BY labels.id;
