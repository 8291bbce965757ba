-- The full-text index of one generation. All of it is derived. `names` keeps no copy of its words: to take one out, they are given again.

-- FTS5's tables of Unicode are older than Python's: what they do not have as letters are `tokenchars`.

-- name: create_settings
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- name: create_named
CREATE TABLE named (id INTEGER PRIMARY KEY, path TEXT NOT NULL, camera TEXT NOT NULL, fields TEXT NOT NULL);

-- name: create_names
CREATE VIRTUAL TABLE names USING fts5(file, folders, camera, fields, content = '', tokenize = 'unicode61 remove_diacritics 0 tokenchars ''ᦰᦱᦲᦳᦴᦵᦶᦷᦸᦹᦺᦻᦼᦽᦾᦿᧀᧈᧉᳲᳳ''');

-- name: get_setting
SELECT value FROM settings WHERE key = :key;

-- name: set_setting
INSERT OR REPLACE INTO settings (key, value) VALUES (:key, :value);

-- name: attach
ATTACH DATABASE CAST(:path AS TEXT) AS catalogue;

-- name: detach
DETACH DATABASE catalogue;

-- name: names_to_leave_out
SELECT id, path, camera, fields FROM named
WHERE NOT EXISTS (SELECT 1 FROM catalogue.images WHERE images.id = named.id AND gone = 0 AND embedding_index IS NOT NULL);

-- name: names_to_index
-- Some of those after an id, so that no batch begins again with what the last ones have indexed.
-- From the folder that was registered on: what is above it says nothing of a picture. `rtrim` leaves a path up to its last slash; once for each root, since
-- for each picture it took five times as long as all the rest. What a list names may lie anywhere: then it is all of the path.
WITH above AS MATERIALIZED (
    SELECT id, rtrim(path, replace(path, '/', '')) AS path, length(rtrim(path, replace(path, '/', ''))) AS characters FROM catalogue.roots)
-- What lists say in words. Asked once whether any of them keeps a field: most libraries have no list.
SELECT images.id,
       CASE WHEN substr(images.path, 1, characters) = above.path THEN substr(images.path, characters + 1) ELSE images.path END AS below,
       images.camera,
       CASE WHEN EXISTS (SELECT 1 FROM catalogue.fields)
            THEN coalesce((SELECT group_concat(value, ' ') FROM (
                SELECT value FROM catalogue.fields AS said WHERE said.image_id = images.id AND number IS NULL ORDER BY said.name, said.root_id)), '')
            ELSE '' END AS words,
       named.path, named.camera, named.fields
FROM catalogue.images CROSS JOIN above ON above.id = images.root_id LEFT JOIN named ON named.id = images.id
WHERE images.id > :after AND gone = 0 AND embedding_index IS NOT NULL AND (named.path IS NOT below OR named.camera IS NOT images.camera OR named.fields IS NOT words)
ORDER BY images.id LIMIT :limit;

-- name: leave_out_name
INSERT INTO names (names, rowid, file, folders, camera, fields) VALUES ('delete', :id, :file, :folders, :camera, :fields);

-- name: forget_named
DELETE FROM named WHERE id = :id;

-- name: index_name
INSERT INTO names (rowid, file, folders, camera, fields) VALUES (:id, :file, :folders, :camera, :fields);

-- name: remember_named
INSERT OR REPLACE INTO named (id, path, camera, fields) VALUES (:id, :path, :camera, :fields);

-- name: find_names
SELECT rowid FROM names WHERE names MATCH :words LIMIT :limit;

-- name: rank_names
SELECT rowid, -bm25(names, 4.0, 2.0, 1.0, 2.0) FROM names WHERE names MATCH :words;

-- name: count_names
SELECT count(*) FROM named;

-- name: check_names
INSERT INTO names (names) VALUES ('integrity-check');

-- name: create_texted
CREATE TABLE texted (id INTEGER PRIMARY KEY, hash BLOB NOT NULL);

-- name: create_said
CREATE VIRTUAL TABLE said USING fts5(words, tokenize = 'unicode61 remove_diacritics 0 tokenchars ''ᦰᦱᦲᦳᦴᦵᦶᦷᦸᦹᦺᦻᦼᦽᦾᦿᧀᧈᧉᳲᳳ''');

-- name: texts_to_leave_out
SELECT id FROM texted
WHERE NOT EXISTS (SELECT 1 FROM catalogue.images WHERE embedding_index = texted.id AND hash = texted.hash AND gone = 0);

-- name: texts_to_index
-- As above, after a row. What is indexed is passed over before its text is looked up: the rows of texts are long.
SELECT embedding_index, images.hash, texts.lines
FROM catalogue.images LEFT JOIN texted ON texted.id = embedding_index CROSS JOIN catalogue.texts ON texts.hash = images.hash
WHERE EXISTS (SELECT 1 FROM catalogue.texts) AND embedding_index > :after AND gone = 0 AND texted.hash IS NOT images.hash AND texts.outcome = 'read'
ORDER BY embedding_index LIMIT :limit;

-- name: index_text
INSERT INTO said (rowid, words) VALUES (:id, :words);

-- name: leave_out_text
DELETE FROM said WHERE rowid = :id;

-- name: remember_texted
INSERT OR REPLACE INTO texted (id, hash) VALUES (:id, :hash);

-- name: forget_texted
DELETE FROM texted WHERE id = :id;

-- name: find_texts
SELECT rowid FROM said WHERE said MATCH :words LIMIT :limit;

-- name: rank_texts
SELECT rowid, -bm25(said) FROM said WHERE said MATCH :words;

-- name: count_texts
SELECT count(*) FROM texted;

-- name: check_texts
INSERT INTO said (said) VALUES ('integrity-check');
