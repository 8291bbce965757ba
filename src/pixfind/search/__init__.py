"""From a query to hits: the query language, filters, scores, calibration, duplicates."""
