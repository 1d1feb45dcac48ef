"""What was measured of the sensors over all nights, in the one query that decides which measurements count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ingestd.doors.catalogue.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ingestd.records import FrameRecord


class History(Reading):
    """Read-only streams of figures with the conditions that they were measured under."""

    def figure_history(self, names: Sequence[str], camera: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the figures in force of these names, the oldest observation first.

        Those of frames that contradict their header or were rejected by an operator do not count; accepted ones do.

        Parameters
        ----------
        names : sequence of str
            Rows of ``metrics.METRICS``.
        camera : str, optional
            Only of this camera.

        Yields
        ------
        dict
            ``name``, ``value``, ``error``, ``camera``, ``setup``, ``filter_name``, ``plane``, ``channel``, ``night``,
            ``subject`` (frame_id or master_id), ``is_of_master``; ``exposure_s`` and ``ccd_temp_c`` of the subject.
        """
        return map(dict, self._stream(_HISTORY, {"names": json.dumps(list(names)), "camera": camera}))

    def bright_flats(self, camera: str | None = None) -> list[FrameRecord]:
        """Return the flats left out as too bright or saturated that no operator decided on, the oldest first."""
        return self._frames(self._rows(_BRIGHT_FLATS, {"camera": camera}))


_BRIGHT_FLATS = """SELECT * FROM frames WHERE kind = 'flat' AND screened IN ('flat_too_bright', 'saturated')
        AND decision IS NULL AND superseded_by IS NULL AND obs_start IS NOT NULL
        AND (:camera IS NULL OR camera = :camera)
    ORDER BY obs_start, frame_id"""
_HISTORY = """SELECT m.name, m.value, m.error, m.camera, m.setup, m.filter_name, m.plane, m.channel, m.night,
        ifnull(m.frame_id, m.master_id) AS subject, m.master_id IS NOT NULL AS is_of_master,
        ifnull(f.exposure_s, a.exposure_s) AS exposure_s, ifnull(f.ccd_temp_c, a.ccd_temp_c) AS ccd_temp_c
    FROM series s
    JOIN metrics m ON m.series_id = s.series_id AND m.current = 1
    LEFT JOIN frames f ON f.frame_id = m.frame_id
    LEFT JOIN masters a ON a.master_id = m.master_id
    WHERE s.name IN (SELECT value FROM json_each(:names)) AND (:camera IS NULL OR s.camera = :camera)
        AND (f.frame_id IS NULL OR f.decision = 'accepted' OR (f.screened = '' AND f.decision IS NULL))
    ORDER BY m.time, m.metric_id"""
