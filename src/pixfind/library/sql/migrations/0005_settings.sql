-- What the source of a root needs beside its path: where a bucket is, which column of a list holds the addresses. Never a secret.

ALTER TABLE roots ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';  -- JSON object
