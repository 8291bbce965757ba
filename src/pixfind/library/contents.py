"""
Which row of the embeddings a content has, looked up by the hash of the content.

Owns the table `contents` and when it is written. Hashes are random: a table in their order that is written with each commit costs
two whole pages of the disk for each image (one in SQLite's log, one in the database), however small its rows are. So the rows that were
embedded last are kept in memory, and go into the table together, in its order.
Derived: what the table says holds only where an image still points to the row, and it can be made again from the images at any time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixfind.library.catalogue import Catalogue

_MARK = "contents_rows"
_MIN_ROWS = 32_768
_MIN_ROWS_AT_END = 8_192
"""are read in some 10 ms; a hundred new pictures are not worth the two hundred pages that they would write"""
_SHARE = 16
"""one of so many rows is kept in memory: each page of the table is then written for many rows, at any size of the library"""
_MAX_ROWS = 1 << 20
"""some 150 MB"""


class Contents:
    """The contents that have an embedding, in one catalogue."""

    def __init__(self, catalogue: "Catalogue") -> None:
        self._catalogue = catalogue
        self._kept: dict[bytes, int] | None = None

    def row(self, content: bytes) -> int | None:
        """Return the embedding_index of the content with this hash (16 bytes), None when no image that has one holds it."""
        catalogue = self._catalogue
        if not catalogue.write:
            # Another process may be adding rows.
            recent = catalogue.value("recent_row_of_content", "contents.sql", rows=self._mark(), hash=content)
            return recent if recent is not None else self._indexed(content)
        recent = self._recent().get(content)
        if recent is not None and catalogue.value(
            "is_content_of_row", "contents.sql", embedding_index=recent, hash=content
        ):
            return recent
        return self._indexed(content)

    def add(self, content: bytes, embedding_index: int) -> None:
        """Take note of a content that has got its row; should the transaction fail, then `row` finds that out."""
        self._recent()[content] = embedding_index

    def index_row(self, content: bytes, embedding_index: int) -> None:
        """Put an old row into the table, which may have been filled while no image pointed to it; in a transaction of the caller."""
        self._catalogue.run("index_content", "contents.sql", hash=content, embedding_index=embedding_index)

    def index_when_many(self, *, ended: bool = False) -> None:
        """
        Move the contents that are kept in memory into the table once there are many; in a transaction of the caller.

        `ended`: no more follow, so that those left behind are read again by each process that looks for a content.
        """
        many = _MIN_ROWS_AT_END if ended else min(max(_MIN_ROWS, self._mark() // _SHARE), _MAX_ROWS)
        if len(self._recent()) >= many:
            self.index()

    def index(self) -> None:
        """Move the contents that are kept in memory into the table; in a transaction of the caller."""
        mark, rows = self._mark(), int(self._catalogue.value("next_row", "contents.sql"))
        if rows != mark:
            self._catalogue.run("index_contents", "contents.sql", rows=mark)
            self._catalogue.set_setting(_MARK, str(rows))
        # Only once the transaction is durable is it safe to read them from the table alone: read again what it does not say.
        self._kept = None

    def rebuild(self) -> None:
        """Fill the table again; in a transaction of the caller."""
        self._catalogue.run("forget_contents", "contents.sql")
        self._catalogue.set_setting(_MARK, "0")
        self.index()

    def missing(self) -> int:
        """Count the images whose content the table should know and does not."""
        return int(self._catalogue.value("missing_contents", "contents.sql", rows=self._mark()))

    def _mark(self) -> int:
        """Return the embedding_index from which on rows are not in the table."""
        return int(self._catalogue.setting(_MARK) or 0)

    def _indexed(self, content: bytes) -> int | None:
        found: int | None = self._catalogue.value("row_of_content", "contents.sql", hash=content)
        return found

    def _recent(self) -> dict[bytes, int]:
        if self._kept is None:
            self._kept = dict(self._catalogue.rows("recent_contents", "contents.sql", rows=self._mark()))
        return self._kept
