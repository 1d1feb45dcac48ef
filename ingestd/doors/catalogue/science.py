"""What science was done lately, and with which set-up: the questions of coverage and of the Python API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.rows import read_cards
from ingestd.doors.catalogue.texts import read_time, time_text
from ingestd.records import ScienceUse

if TYPE_CHECKING:
    from datetime import datetime

    from ingestd.records import FrameRecord, Kind, Master


class Science(Reading):
    """Read-only questions about science frames that take part and were not superseded."""

    def newest_science_night(self) -> str | None:
        """Return the newest night with a science frame, or None."""
        found = self._value(_NEWEST_NIGHT)
        return None if found is None else str(found)

    def science_uses(self, first_night: str, last_night: str) -> list[ScienceUse]:
        """Return the conditions of the science frames in a range of nights, each with its newest frame."""
        found = []
        for row in self._rows(_USES, {"first_night": first_night, "last_night": last_night}):
            newest, frame_id = row["newest"].split()
            found.append(
                ScienceUse(
                    camera=row["camera"],
                    configuration=row["configuration"],
                    ccd_temp_c=row["ccd_temp_c"],
                    exposure_s=row["exposure_s"],
                    filter_name=row["filter_name"],
                    frames=row["frames"],
                    newest=read_time(newest),
                    frame_id=frame_id,
                    cards=read_cards(row["cards"]),
                )
            )
        return found

    def valid_masters(self, kind: Kind, since: datetime, until: datetime, *, camera: str | None = None) -> list[Master]:
        """Return the current masters of a kind, of all configurations, whose members were observed in an interval.

        Parameters
        ----------
        kind : Kind
            Bias, dark or flat.
        since, until : datetime
            The last member was observed not before ``since``, the first not after ``until``.
        camera : str, optional
            Only of this camera.
        """
        parameters = {
            "kind": kind.value,
            "since": time_text(since),
            "until": time_text(until),
            "camera": camera,
        }
        return self._masters(self._texts(_VALID_MASTERS, parameters))

    def example(self, camera: str, configuration: str) -> FrameRecord | None:
        """Return a frame of a set-up, a science frame if there is one, or None."""
        found = self._frames(self._rows(_EXAMPLE, {"camera": camera, "configuration": configuration}))
        return found[0] if found else None

    def newest_observation(self, camera: str, configuration: str) -> datetime | None:
        """Return when the newest frame of a set-up was begun, or None; a frame of the future does not count."""
        found = self._value(_NEWEST_OBSERVATION, {"camera": camera, "configuration": configuration})
        return None if found is None else read_time(str(found))

    def configurations(self, camera: str) -> list[str]:
        """Return the configurations of the frames of a camera that take part."""
        return self._texts(_CONFIGURATIONS, {"camera": camera})


_NEWEST_NIGHT = """SELECT night FROM frames INDEXED BY frames_night
    WHERE night IS NOT NULL AND kind = 'light' AND takes_part = 1 AND superseded_by IS NULL AND state <> 'quarantined'
    ORDER BY night DESC LIMIT 1"""
_USES = """SELECT camera, configuration, ccd_temp_c, exposure_s, filter_name, cards, count(*) AS frames,
        max(obs_start || ' ' || frame_id) AS newest
    FROM frames INDEXED BY frames_night
    WHERE night BETWEEN :first_night AND :last_night AND kind = 'light' AND takes_part = 1 AND obs_start IS NOT NULL
    AND superseded_by IS NULL AND state <> 'quarantined'
    GROUP BY camera, configuration, ccd_temp_c, exposure_s, filter_name, cards"""
_VALID_MASTERS = """SELECT master_id FROM masters
    WHERE kind = :kind AND current = 1 AND pruned_at IS NULL AND last_obs >= :since AND first_obs <= :until
    AND camera = ifnull(:camera, camera) ORDER BY camera, configuration, last_obs, master_id"""
_EXAMPLE = """SELECT * FROM (SELECT * FROM frames INDEXED BY frames_reducible
        WHERE camera = :camera AND configuration = :configuration AND kind = 'light' AND takes_part = 1
        ORDER BY night DESC LIMIT 1)
    UNION ALL SELECT * FROM (SELECT * FROM frames
        WHERE camera = :camera AND configuration = :configuration LIMIT 1)
    LIMIT 1"""
_NEWEST_OBSERVATION = """SELECT max(obs_start) FROM frames
    WHERE camera = :camera AND configuration = :configuration AND takes_part = 1
    AND flags NOT LIKE '%"future_date"%'"""
_CONFIGURATIONS = """SELECT DISTINCT configuration FROM frames
    WHERE camera = :camera AND takes_part = 1 ORDER BY configuration"""
