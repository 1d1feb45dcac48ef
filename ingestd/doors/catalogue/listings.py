r"""Lists for people and programs: the command line, the web pages, the exporter. Rows are plain dictionaries.

Paths in these rows are as the database holds them: printable text, odd bytes as ``\xNN``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.texts import encode_path

if TYPE_CHECKING:
    from collections.abc import Mapping

_NIGHTS_SHOWN = 14


class Listings(Reading):
    """Read-only lists; they may take longer on a large catalogue than planning may."""

    def frame_rows(
        self,
        *,
        kind: str | None = None,
        state: str | None = None,
        camera: str | None = None,
        night: str | None = None,
        limit: int = -1,
    ) -> list[dict[str, Any]]:
        """Return frames, the newest observation last, after them the files still arriving.

        The columns are those of the view ``frame_list`` and ``detail``, ``label``, ``night``, ``object_name``,
        ``explanation`` excepted. ``limit`` keeps the newest.
        """
        filters = {"kind": kind, "state": state, "camera": camera, "night": night}
        where = _where(_FRAME_FILTERS, filters)
        rows = self._dicts(f"{_FRAME_COLUMNS} {where} {_NEWEST_FRAMES}", {**filters, "limit": limit})[::-1]
        if kind is camera is night is None and state in {None, "waiting"}:
            rows += self._dicts(_ARRIVING)
        return rows

    def find_frames(self, text: str) -> list[dict[str, Any]]:
        """Return the frames and arriving files that a path, a file name or the start of a frame_id names."""
        parameters = {"text": encode_path(text), "id": text.lower()}
        rows = self._dicts(_FIND_BY_NAME, parameters)
        if not rows and text and set(text.lower()) <= set("0123456789abcdef"):
            rows = self._dicts(_FIND_BY_ID, parameters)
        return rows + self._dicts(_FIND_ARRIVING, {"text": encode_path(text), "end": f"%/{_like(encode_path(text))}"})

    def find_products(self, text: str) -> list[dict[str, Any]]:
        """Return the products that a path or name below ``reduced`` or ``current``, or 4 digits of an address, mean.

        Each with ``frame_id``, ``path``, ``current``. The name of a product holds the hashes of its frame and its job,
        so directories before it do not count; that of the link to the current one holds no job.
        """
        stem = _like(encode_path(text).rpartition("/")[2].removesuffix(".fits"))
        named = {"name": f"%/{stem}.fits", "link": f"%/{stem}!_________.fits"}
        rows = self._dicts(_FIND_PRODUCTS_BY_NAME, named) if text.endswith(".fits") else []
        if not rows and len(text) >= _FEWEST_DIGITS and set(text.lower()) <= set("0123456789abcdef"):
            rows = self._dicts(_FIND_PRODUCTS_BY_ID, {"id": text.lower()})
        return rows

    def master_rows(
        self,
        *,
        all: bool = False,  # noqa: A002 - the option's name
        kind: str | None = None,
        camera: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the current masters, or with ``all`` also those superseded: the view ``master_list`` and more."""
        filters = {"kind": kind, "camera": camera}
        where = _where({**_MASTER_FILTERS, **({} if all else {"current": "current = 1"})}, {**filters, "current": ""})
        return self._dicts(f"{_MASTER_LIST} {where} {_MASTER_ORDER}", filters)

    def find_masters(self, text: str) -> list[dict[str, Any]]:
        """Return the masters that a path, a file name or at least 4 digits of a master_id name."""
        parameters = {"text": encode_path(text), "end": f"%/{_like(encode_path(text))}", "id": text.lower()}
        rows = self._dicts(_FIND_MASTERS_BY_NAME, parameters)
        if not rows and len(text) >= _FEWEST_DIGITS and set(text.lower()) <= set("0123456789abcdef"):
            rows = self._dicts(_FIND_MASTERS_BY_ID, parameters)
        return rows

    def qa_rows(
        self,
        *,
        metric: str | None = None,
        camera: str | None = None,
        limit: int = -1,
        latest: bool = False,
    ) -> list[dict[str, Any]]:
        """Return quality figures, the newest first; with ``latest`` only the newest of each series."""
        filters = {"metric": metric, "camera": camera}
        where = _where(_QA_FILTERS, filters)
        return self._dicts(f"{_QA_LATEST if latest else _QA_LIST} {where} {_QA_ORDER}", {**filters, "limit": limit})

    def events(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return events, the newest first."""
        return self._dicts(_EVENTS, {"limit": limit})

    def failed_builds(self, camera: str | None = None, setup: str | None = None) -> list[dict[str, Any]]:
        """Return the masters that could not be built, of one set-up or of all, with the error of the last attempt."""
        return self._dicts(_FAILED_BUILDS, {"camera": camera, "setup": setup})

    def explanation(self, frame_id: str) -> str | None:
        """Return the last planning decision of a frame (JSON), or None."""
        found = self._value("SELECT explanation FROM frames WHERE frame_id = :frame_id", {"frame_id": frame_id})
        return None if found is None else str(found)

    def gone_since(self, frame_id: str) -> str | None:
        """Return when the last file of a frame was found to be gone, or None if one is there."""
        found = self._value(_GONE_SINCE, {"frame_id": frame_id})
        return None if found is None else str(found)

    def product_rows(self, frame_id: str) -> list[dict[str, Any]]:
        """Return every product of a frame, the current one first, each with ``masters`` and ``steps``."""
        rows = self._dicts(_PRODUCTS, {"frame_id": frame_id})
        for row in rows:
            row["masters"] = self._dicts(_USED_MASTERS, {"reduction_id": row["reduction_id"]})
            row["steps"] = self._dicts(_STEPS, {"reduction_id": row["reduction_id"]})
        return rows

    def counts(self) -> list[dict[str, Any]]:
        """Return the number of frames by camera, kind, state and reason."""
        return self._dicts(_COUNTS)

    def queue_depth(self) -> int:
        """Return how many frames, nights and darks are due."""
        return sum(int(self._value(query) or 0) for query in _QUEUE.values())

    def status(self) -> dict[str, Any]:
        """Return what a person asks first.

        ``queue`` (due: ``lights``, ``calibrations``, ``nights``, ``darks``), ``queue_depth`` (their sum), ``delayed``
        (science frames that are reduced again later), ``arrivals``, ``unreadable`` (those of them
        that give an error: ``path``, ``detail``), ``frames`` (by state), ``product_bytes`` (newest nights: ``night``,
        ``products``, ``bytes``), ``last_frame`` (``first_seen``, ``obs_start``, ``path``),
        ``last_event``.
        """
        queue = {name: self._value(query) for name, query in _QUEUE.items()}
        last_frame, last_event = self._dicts(_LAST_FRAME), self._dicts(_EVENTS, {"limit": 1})
        return {
            "queue": queue,
            "queue_depth": sum(queue.values()),
            "delayed": self._value(_DELAYED),
            "arrivals": self._value("SELECT count(*) FROM arrivals"),
            "unreadable": self._dicts("SELECT path, detail FROM arrivals WHERE reason = 'unreadable' ORDER BY path"),
            "frames": {row["state"]: row["frames"] for row in self._rows(_COUNTS_BY_STATE)},
            "product_bytes": self._dicts(_PRODUCT_BYTES, {"limit": _NIGHTS_SHOWN}),
            "last_frame": last_frame[0] if last_frame else None,
            "last_event": last_event[0] if last_event else None,
        }

    def _dicts(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries."""
        return [dict(row) for row in self._rows(sql, parameters)]


def _where(clauses: Mapping[str, str], values: Mapping[str, object]) -> str:
    """Return the WHERE clause of the filters that are set; clauses are constants, values are parameters."""
    chosen = [clause for name, clause in clauses.items() if values[name] is not None]
    return f"WHERE {' AND '.join(chosen)}" if chosen else ""


def _like(text: str) -> str:
    """Return the text with the wildcards of LIKE made literal."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


_FRAME_COLUMNS = """SELECT f.frame_id,
    (SELECT s.path FROM sightings s WHERE s.frame_id = f.frame_id
        ORDER BY s.gone_at IS NULL DESC, s.first_seen DESC, s.sighting_id DESC LIMIT 1) AS path,
    f.kind, f.kind_source, f.state, f.reason, f.camera, f.exposure_s, f.ccd_temp_c, f.filter_name, f.obs_start,
    (SELECT r.path FROM reductions r WHERE r.frame_id = f.frame_id AND r.current = 1 AND r.pruned_at IS NULL)
        AS product,
    f.detail, f.label, f.night, f.object_name, f.live
    FROM frames f"""
_GONE_SINCE = """SELECT max(gone_at) FROM sightings
    WHERE frame_id = :frame_id AND (SELECT live FROM frames WHERE frame_id = :frame_id) = 0"""
_NEWEST_FRAMES = "ORDER BY f.obs_start DESC, f.frame_id DESC LIMIT :limit"
_FRAME_FILTERS = {
    "kind": "f.kind = :kind",
    "state": "f.state = :state",
    "camera": "f.camera = :camera",
    "night": "f.night = :night",
}
_ARRIVING_COLUMNS = """SELECT NULL AS frame_id, path, NULL AS kind, NULL AS kind_source, 'waiting' AS state, reason,
    NULL AS camera, NULL AS exposure_s, NULL AS ccd_temp_c, NULL AS filter_name, NULL AS obs_start, NULL AS product,
    detail, NULL AS label, NULL AS night, NULL AS object_name, 1 AS live FROM arrivals"""
_ARRIVING = f"{_ARRIVING_COLUMNS} ORDER BY path"
_NAMED = """WHERE f.frame_id IN (
        SELECT frame_id FROM sightings WHERE path = :text
        UNION SELECT frame_id FROM sightings WHERE file_name = :text)
    ORDER BY f.obs_start, f.frame_id"""
_FIND_BY_NAME = f"{_FRAME_COLUMNS} {_NAMED}"
_FIND_BY_ID = f"""{_FRAME_COLUMNS} WHERE f.frame_id >= :id AND f.frame_id < :id || 'g'
    ORDER BY f.obs_start, f.frame_id"""
_FIND_ARRIVING = f"{_ARRIVING_COLUMNS} WHERE path = :text OR path LIKE :end ESCAPE '!' ORDER BY path"
_MASTER_LIST = """SELECT master_id, kind, camera, configuration, exposure_s, ccd_temp_c, filter_name,
    member_count AS members, grade, count_grade, path, current, night, first_obs, last_obs, sha256, size_bytes,
    provenance, comparison, comparison_grade, compared_with, decision, valid_from, valid_until, pruned_at
    FROM masters"""
_FEWEST_DIGITS = 4
_FIND_MASTERS_BY_NAME = f"{_MASTER_LIST} WHERE path = :text OR path LIKE :end ESCAPE '!' ORDER BY master_id"
_FIND_MASTERS_BY_ID = f"{_MASTER_LIST} WHERE master_id >= :id AND master_id < :id || 'g' ORDER BY master_id"
_PRODUCT_LIST = "SELECT frame_id, path, current FROM reductions"
_FIND_PRODUCTS_BY_NAME = f"""{_PRODUCT_LIST} WHERE path LIKE :name ESCAPE '!'
    OR current = 1 AND path LIKE :link ESCAPE '!' ORDER BY path"""
_FIND_PRODUCTS_BY_ID = f"""{_PRODUCT_LIST} WHERE reduction_id >= :id AND reduction_id < :id || 'g' ORDER BY path"""
_MASTER_ORDER = "ORDER BY camera, kind, configuration, filter_name, night, exposure_s, ccd_temp_c, master_id"
_MASTER_FILTERS = {"kind": "kind = :kind", "camera": "camera = :camera"}
_QA_LIST = "SELECT * FROM qa_list"
_QA_LATEST = "SELECT * FROM qa_latest"
_QA_FILTERS = {"metric": "metric = :metric", "camera": "camera = :camera"}
_QA_ORDER = "ORDER BY time DESC, metric, plane, channel LIMIT :limit"
# A master of the same that is there was built of other members since.
_FAILED_BUILDS = """SELECT camera, kind, configuration, filter_name, exposure_s, night, master_group, attempts, detail,
        next_try, final
    FROM failures f WHERE kind IS NOT NULL AND (:camera IS NULL OR camera = :camera AND setup = :setup)
    AND NOT EXISTS (SELECT 1 FROM masters m WHERE m.current = 1 AND m.camera = f.camera AND m.kind = f.kind
        AND m.configuration = f.configuration AND m.filter_name IS f.filter_name
        AND m.exposure_s IS f.exposure_s AND m.night = f.night)
    ORDER BY camera, configuration, night, kind, filter_name, exposure_s"""
_EVENTS = "SELECT time, level, event, subject, detail FROM events ORDER BY event_id DESC LIMIT :limit"
_PRODUCTS = "SELECT * FROM reductions WHERE frame_id = :frame_id ORDER BY current DESC, created_at DESC, reduction_id"
_USED_MASTERS = """SELECT u.kind, u.master_id, u.how, u.age_h, u.delta_temp_c, u.exposure_ratio, u.cut, m.path, m.sha256
    FROM used_masters u JOIN masters m USING (master_id) WHERE u.reduction_id = :reduction_id ORDER BY u.kind"""
_STEPS = "SELECT name, status, detail FROM steps WHERE reduction_id = :reduction_id ORDER BY position"
_COUNTS = """SELECT camera, kind, state, reason, count(*) AS frames FROM frames INDEXED BY frames_state
    GROUP BY state, reason, kind, camera"""
_COUNTS_BY_STATE = "SELECT state, count(*) AS frames FROM frames INDEXED BY frames_state GROUP BY state"
_QUEUE = {
    "lights": "SELECT count(*) FROM frames WHERE stale = 1 AND live = 1 AND kind = 'light' AND again_at IS NULL",
    "calibrations": "SELECT count(*) FROM frames WHERE stale = 1 AND live = 1 AND kind <> 'light'",
    "nights": "SELECT count(*) FROM nights WHERE stale = 1",
    "masters": "SELECT count(*) FROM masters WHERE stale = 1 AND current = 1 AND pruned_at IS NULL",
}
_DELAYED = "SELECT count(*) FROM frames INDEXED BY frames_delayed WHERE again_at IS NOT NULL AND stale = 1 AND live = 1"
_PRODUCT_BYTES = """SELECT night, count(*) AS products, sum(size_bytes) AS bytes
    FROM reductions INDEXED BY reductions_night WHERE pruned_at IS NULL
    GROUP BY night ORDER BY night DESC LIMIT :limit"""
_LAST_FRAME = """SELECT s.first_seen, f.obs_start, s.path FROM sightings s JOIN frames f USING (frame_id)
    ORDER BY s.sighting_id DESC LIMIT 1"""
