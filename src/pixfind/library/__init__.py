"""One directory with all state: the catalogue in SQLite, the walk over sources, commit and merge, verify."""
