"""From a query to hits: the query language, filters, scores, calibration, duplicates."""

from pixfind import former_names

__getattr__ = former_names.lookup("search")
