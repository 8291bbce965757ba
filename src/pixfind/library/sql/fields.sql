-- name: ids_at
-- The ids of some images (a JSON list of paths).
SELECT asked.value, images.id FROM json_each(:paths) AS asked CROSS JOIN images ON images.path = asked.value;

-- name: values_of
-- What a list said of some images (a JSON list of ids).
SELECT fields.image_id, fields.name, fields.value FROM json_each(:ids) AS asked CROSS JOIN fields ON fields.image_id = asked.value
WHERE fields.root_id = :root_id;

-- name: forget
DELETE FROM fields WHERE image_id = :image_id AND root_id = :root_id;

-- name: set
INSERT INTO fields (image_id, name, root_id, value, number) VALUES (:image_id, :name, :root_id, :value, :number);

-- name: images_of
SELECT DISTINCT image_id FROM fields WHERE root_id = :root_id;

-- name: with_name
SELECT image_id FROM fields WHERE name = :field;

-- name: with_number
SELECT image_id FROM fields WHERE name = :field AND number >= :first AND number <= :last AND number IS NOT :without;

-- name: with_text
-- The beginning first: it is in the index.
SELECT image_id FROM fields
WHERE name = :field AND substr(value, 1, 40) COLLATE NOCASE >= substr(:first, 1, 40)
  AND substr(value, 1, 40) COLLATE NOCASE <= substr(:last, 1, 40)
  AND value COLLATE NOCASE >= :first AND value COLLATE NOCASE <= :last AND value COLLATE NOCASE IS NOT :without;

-- name: with_part
SELECT image_id FROM fields WHERE name = :field AND value LIKE :like ESCAPE '\';

-- name: of_image
-- Of one image, the same name of several lists once: that of the first.
SELECT name, value, min(root_id) FROM fields WHERE image_id = :image_id GROUP BY name ORDER BY name;

-- name: all
-- In the order of the images, that of the first list last.
SELECT image_id, name, value FROM fields ORDER BY image_id, name, root_id DESC;
