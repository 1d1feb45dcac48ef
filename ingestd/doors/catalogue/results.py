"""Masters and products as files with the orders that made them: what ``ingestd verify`` looks up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.texts import decode_path, encode_path, frames_key

if TYPE_CHECKING:
    import sqlite3

    from ingestd.records import Group

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

    def lineage(self, master_id: str, first_night: str) -> dict[str, Any]:
        """Return what a master is made of, and what of its group it is not made of, each list in order of time.

        Parameters
        ----------
        master_id : str
        first_night : str
            Where its window begins.

        Returns
        -------
        dict
            ``members``, ``left_out`` (frames, with what keeps them out), ``parents`` (masters), ``products`` (how many
            current ones were made with it).
        """
        key: dict[str, object] = {"master_id": master_id, "first_night": first_night}
        lists = {"members": _MEMBERS, "left_out": _LEFT_OUT, "parents": _PARENTS}
        found: dict[str, Any] = {name: [dict(row) for row in self._rows(sql, key)] for name, sql in lists.items()}
        return found | {"products": self._value(_PRODUCTS_MADE, key)}

    def holding(self, frame_id: str) -> list[dict[str, Any]]:
        """Return the masters that a frame is a member of, those in force first: id, path, night, current."""
        return [dict(row) for row in self._rows(_HOLDING, {"frame_id": frame_id})]

    def group_rows(self, group: Group, first_night: str, last_night: str) -> list[dict[str, Any]]:
        """Return what each frame of a group in a range of nights is, good or not, with what keeps it out of masters.

        Of each ``night``, ``ccd_temp_c``, ``state``, ``reason``, ``flags`` (JSON), ``screened``, ``decision``,
        ``live``, ``measured``, ``superseded``; in order of time.
        """
        parameters = {
            **frames_key(group),
            "first_night": first_night,
            "last_night": last_night,
        }
        return [dict(row) for row in self._rows(_GROUP, parameters)]

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
_MEMBERS = """SELECT f.frame_id,
        (SELECT s.path FROM sightings s WHERE s.frame_id = f.frame_id
        ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1) AS path,
        f.night, f.obs_start, f.exposure_s, f.ccd_temp_c
    FROM members JOIN frames f USING (frame_id) WHERE master_id = :master_id ORDER BY f.obs_start, f.frame_id"""
_LEFT_OUT = """SELECT f.frame_id,
        (SELECT s.path FROM sightings s WHERE s.frame_id = f.frame_id
        ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1) AS path,
        f.night, f.obs_start, f.exposure_s, f.ccd_temp_c, f.state, f.reason,
        f.detail, f.flags, f.screened, f.decision, f.live, f.measured, f.superseded_by IS NOT NULL AS superseded
    FROM masters m JOIN frames f ON f.camera = m.camera AND f.kind = m.kind AND f.configuration = m.configuration
        AND f.group_filter = CASE m.kind WHEN 'flat' THEN ifnull(m.filter_name, '') ELSE '' END
    WHERE m.master_id = :master_id AND f.night BETWEEN :first_night AND m.night
    AND f.frame_id NOT IN (SELECT frame_id FROM members WHERE master_id = :master_id)
    ORDER BY f.obs_start, f.frame_id"""
_HOLDING = """SELECT m.master_id, m.path, m.night, m.current FROM members JOIN masters m USING (master_id)
    WHERE members.frame_id = :frame_id ORDER BY m.current DESC, m.night, m.master_id"""
_GROUP = """SELECT night, ccd_temp_c, state, reason, flags, screened, decision, live, measured,
        superseded_by IS NOT NULL AS superseded
    FROM frames WHERE camera = :camera AND kind = :kind AND configuration = :configuration
    AND group_filter = :group_filter AND night BETWEEN :first_night AND :last_night ORDER BY obs_start, frame_id"""
_PARENTS = """SELECT m.master_id, m.kind, m.path FROM parents p JOIN masters m ON m.master_id = p.parent_id
    WHERE p.master_id = :master_id ORDER BY p.position"""
_PRODUCTS_MADE = """SELECT count(*) FROM used_masters JOIN reductions USING (reduction_id)
    WHERE master_id = :master_id AND current = 1 AND pruned_at IS NULL"""
