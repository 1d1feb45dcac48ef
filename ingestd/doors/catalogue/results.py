"""Masters and products as files with the orders that made them: what ``ingestd verify`` looks up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.rows import decode_path, encode_path

if TYPE_CHECKING:
    import sqlite3

_HEXADECIMAL = set("0123456789abcdef")
_SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class Result:
    """A master or a product: its file (relative to the data directory), and the order as it was kept."""

    what: Literal["master", "product"]
    job_id: str
    path: str
    sha256: str
    order: str
    is_external: bool
    is_pruned: bool


class Results(Reading):
    """Read-only look-ups of what was made."""

    def find_results(self, text: str) -> list[Result]:
        """Return the masters and products that are meant by a path, a file name or the start of an address.

        A path is relative to the data directory. A raw frame means its current product.
        """
        parameters: dict[str, object] = {"text": encode_path(text), "end": f"/{encode_path(text)}", "id": text.lower()}
        found = self._results(_BY_PATH, parameters)
        if not found and len(text) >= _SHORTEST_ID and set(text.lower()) <= _HEXADECIMAL:
            found = self._results(_BY_ID, parameters)
        return found or self._results(_BY_FRAME, parameters)

    def current_results(self) -> list[Result]:
        """Return every current master and product, masters first."""
        return self._results(_CURRENT, {})

    def _results(self, sql: str, parameters: dict[str, object]) -> list[Result]:
        """Return the results of a query."""
        return [_result(row) for row in self._rows(sql, parameters)]


def _result(row: sqlite3.Row) -> Result:
    """Return one row as a result."""
    return Result(
        what=row["what"],
        job_id=row["job_id"],
        path=decode_path(row["path"]),
        sha256=row["sha256"],
        order=row["order_json"],
        is_external=row["provenance"] == "external",
        is_pruned=row["pruned_at"] is not None,
    )


_MASTERS = "SELECT 'master' AS what, master_id AS job_id, path, sha256, order_json, provenance, pruned_at FROM masters"
_PRODUCTS = """SELECT 'product' AS what, reduction_id AS job_id, path, sha256, order_json, 'built' AS provenance,
    pruned_at FROM reductions"""
_FRAMES = """(SELECT frame_id FROM sightings WHERE path = :text
    UNION SELECT frame_id FROM sightings WHERE file_name = :text
    UNION SELECT frame_id FROM frames WHERE length(:id) >= 4 AND frame_id >= :id AND frame_id < :id || 'g')"""
_NAMED = "WHERE path = :text OR substr(path, -length(:end)) = :end"
_BY_PATH = f"{_MASTERS} {_NAMED} UNION ALL {_PRODUCTS} {_NAMED} ORDER BY what, path"
_BY_ID = f"""{_MASTERS} WHERE master_id >= :id AND master_id < :id || 'g'
    UNION ALL {_PRODUCTS} WHERE reduction_id >= :id AND reduction_id < :id || 'g' ORDER BY what, path"""
_BY_FRAME = f"{_PRODUCTS} WHERE current = 1 AND frame_id IN {_FRAMES} ORDER BY path"
_CURRENT = f"""{_MASTERS} WHERE current = 1 AND pruned_at IS NULL
    UNION ALL {_PRODUCTS} WHERE current = 1 AND pruned_at IS NULL ORDER BY what, path"""
