"""One directory with all state: the catalogue in SQLite, the walk over sources, commit and merge, verify."""

from pixfind import former_names

__getattr__ = former_names.lookup("library")
