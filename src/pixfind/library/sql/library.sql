-- name: get_setting
SELECT value FROM library WHERE key = :key;

-- name: set_setting
INSERT INTO library (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: start_run
INSERT INTO runs (verb, pid, host, started_at) VALUES (:verb, :pid, :host, :started_at);

-- name: end_run
UPDATE runs SET ended_at = :ended_at, report = :report WHERE id = :id;

-- name: last_run
SELECT verb, pid, host, started_at, ended_at, report FROM runs ORDER BY id DESC LIMIT 1;

-- name: has_run
SELECT EXISTS (SELECT 1 FROM runs WHERE verb = :verb AND pid = :pid AND host = :host AND started_at = :started_at);

-- name: last_report
SELECT report FROM runs WHERE verb = :verb AND report IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: data_version
-- Differs when another connection has changed the database since.
PRAGMA data_version;

-- name: programs
-- What a database may run by itself: ours has none.
SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view');
