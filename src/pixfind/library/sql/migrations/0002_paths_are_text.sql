-- Paths become text that every program can read: bytes that are not UTF-8 are written as \xNN (path_text.py, whose
-- `to_text` is the function `path_text` here). Names are UNIQUE, so all that differ are put aside before one is given anew.

CREATE TEMP TABLE renamed (id INTEGER PRIMARY KEY, path TEXT NOT NULL);

-- Plain ASCII without a backslash is its own text: that leaves out nearly every row at once.
INSERT INTO temp.renamed
SELECT id, path_text(CAST(path AS BLOB)) FROM images WHERE path GLOB '*[^ -~]*' OR instr(path, '\x');
UPDATE images SET path = '?' || id WHERE id IN (SELECT id FROM temp.renamed);
UPDATE images SET path = renamed.path FROM temp.renamed WHERE images.id = renamed.id;
DELETE FROM temp.renamed;

INSERT INTO temp.renamed
SELECT id, path_text(CAST(path AS BLOB)) FROM roots WHERE path GLOB '*[^ -~]*' OR instr(path, '\x');
UPDATE roots SET path = '?' || id WHERE id IN (SELECT id FROM temp.renamed);
UPDATE roots SET path = renamed.path FROM temp.renamed WHERE roots.id = renamed.id;
DROP TABLE temp.renamed;

ALTER TABLE roots ADD COLUMN left_out TEXT NOT NULL DEFAULT '{}';  -- JSON: files of known kinds that are not read, by suffix
