-- What lists say of their pictures: the columns that `add LIST --keep` names.

CREATE TABLE fields (
    image_id INTEGER NOT NULL,
    name     TEXT NOT NULL,                -- of the column
    root_id  INTEGER NOT NULL,             -- the list
    value    TEXT NOT NULL,
    number   REAL,                         -- the value, where it is a number
    PRIMARY KEY (image_id, name, root_id)
) WITHOUT ROWID;

-- Of long values, such as captions, the beginning.
CREATE INDEX fields_value ON fields (name, substr(value, 1, 40) COLLATE NOCASE);
CREATE INDEX fields_number ON fields (name, number) WHERE number IS NOT NULL;
