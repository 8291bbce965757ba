"""
The index: the file that lets a search take milliseconds. Derived; may be deleted at any time.

Owns data/faiss.index, the choice of its kind, the exact scan, and every call of FAISS.
Must not know which image a row belongs to, which model made it, or that SQLite exists: it takes arrays and paths.
Rows become hits in `search`.

How scores stay exact: the codes of all rows are scanned, the best few hundred rows are scored again from the
embeddings themselves, and rows that the file does not cover yet are scored without codes. So codes only select candidates and never
determine a score. `build` measures the recall of the best ten, and publishes nothing below FLOOR.
"""
