"""Files and frames: what was seen where, what became a frame, what is gone."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.rows import frame_row, plane_row
from ingestd.doors.catalogue.staleness import Staleness
from ingestd.doors.catalogue.texts import clean_text, decode_path, encode_path, read_time, time_text
from ingestd.doors.catalogue.values import AddedFrame, ArrivalRow
from ingestd.records import FileStamp, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ingestd.doors.catalogue.values import TakenFrame
    from ingestd.records import FrameRecord


class Arrivals(Staleness):
    """The first room of a frame's path."""

    # --- files --------------------------------------------------------------------------------------------------------

    def known_files(self) -> dict[str, FileStamp]:
        """Return the files that are frames already, each with the stamp under which it was read."""
        return {
            decode_path(row["path"]): FileStamp(row["size_bytes"], row["mtime_ns"], row["ctime_ns"], row["inode"])
            for row in self._rows(_KNOWN_FILES)
        }

    def arrivals(self) -> list[ArrivalRow]:
        """Return the files that are still arriving, the longest known first."""
        return [
            ArrivalRow(
                path=decode_path(row["path"]),
                reason=row["reason"],
                detail=row["detail"],
                size_bytes=row["size_bytes"],
                first_seen=read_time(row["first_seen"]),
                next_look=read_time(row["next_look"]),
            )
            for row in self._rows(_ARRIVALS)
        ]

    def note_arrivals(self, arrivals: Sequence[ArrivalRow], now: datetime) -> None:  # noqa: ARG002 - every change has it
        """Write down files that are still arriving; of a file that is known as such only ``first_seen`` stays."""
        rows: list[dict[str, object]] = [
            {
                "path": encode_path(arrival.path),
                "reason": arrival.reason,
                "detail": clean_text(arrival.detail),
                "size_bytes": arrival.size_bytes,
                "first_seen": time_text(arrival.first_seen),
                "next_look": time_text(arrival.next_look),
            }
            for arrival in arrivals
        ]
        with self.transaction():
            self._write_many(_NOTE_ARRIVAL, rows)

    def drop_arrivals(self, paths: Iterable[str]) -> None:
        """Forget files that were arriving: they vanished, or are not to be taken."""
        rows: list[dict[str, object]] = [{"path": encode_path(path)} for path in paths]
        with self.transaction():
            self._write_many(_DROP_ARRIVAL, rows)

    # --- frames -------------------------------------------------------------------------------------------------------

    def add_frames(self, taken: Sequence[TakenFrame], now: datetime) -> list[AddedFrame]:
        """Add files that have arrived, all in one transaction.

        A known content under another name adds a sighting, never a second frame, and heals a frame that was gone. A
        path with new content is a new version: its former sighting ends. Of equal pixels under different headers only
        the newest file stays active.

        Parameters
        ----------
        taken : sequence of TakenFrame
            In the order in which they were read.
        now : datetime
            The time of the change.

        Returns
        -------
        list of AddedFrame
            In the same order.
        """
        with self.transaction():
            return [self._add_frame(frame, now) for frame in taken]

    def mark_gone(self, paths: Iterable[str], now: datetime) -> list[str]:
        """Write down that files are no longer there; return the frames of which no file is left.

        Masters and products made of them stay valid; such a frame counts as it did, but nothing new is built of it.
        """
        gone: list[str] = []
        with self.transaction():
            for path in paths:
                row = self._row(_STANDING_SIGHTING, {"path": encode_path(path)})
                if row is not None and self._end_sighting(row, now):
                    gone.append(row["frame_id"])
        return gone

    def _add_frame(self, taken: TakenFrame, now: datetime) -> AddedFrame:
        """Add one file inside the transaction."""
        record, path = taken.record, encode_path(taken.path)
        known = self._row(_FRAME_STANDS, {"frame_id": record.frame_id})
        takes_part = taken.state is State.WAITING
        is_better = known is not None and takes_part and not known["takes_part"] and known["superseded_by"] is None
        if known is None or is_better:
            self._put_frame(taken, now)
        former = self._row(_STANDING_SIGHTING, {"path": path})
        if former is not None and former["frame_id"] != record.frame_id:
            self._end_sighting(former, now)
        self._put_sighting(taken, path, now)
        if known is None or is_better or not known["live"]:
            self._enter(record, now)
        self._write(_DROP_ARRIVAL, {"path": path})
        self._choose_among_equal_pixels(record.frame_id, now)
        replaced = former["frame_id"] if former is not None and former["frame_id"] != record.frame_id else None
        return AddedFrame(record.frame_id, taken.path, known is None, replaced)

    def _put_frame(self, taken: TakenFrame, now: datetime) -> None:
        """Insert a frame with its planes, or give one that took no part the record that it can have now."""
        record = taken.record
        row = frame_row(record)
        takes_part = taken.state is State.WAITING
        row |= {
            "state": taken.state.value,
            "reason": taken.reason,
            "detail": clean_text(taken.detail),
            "takes_part": takes_part,
            "stale": takes_part,
            "now": time_text(now),
        }
        self._write(_PUT_FRAME, row)
        self._write(_DROP_PLANES, {"frame_id": record.frame_id})
        self._write_many(_PUT_PLANE, [plane_row(record.frame_id, plane) for plane in record.planes])
        if takes_part and record.may_join_master:
            self._write(_OPEN_NIGHT, {**row, "kind": record.kind.value})

    def _put_sighting(self, taken: TakenFrame, path: str, now: datetime) -> None:
        """Write down where the frame was seen: the path's last sighting goes on, or heals, if it was of this frame."""
        stamp = taken.stamp
        row: dict[str, object] = {
            "path": path,
            "file_name": PurePosixPath(path).name,
            "size_bytes": stamp.size_bytes,
            "mtime_ns": stamp.mtime_ns,
            "ctime_ns": stamp.ctime_ns,
            "inode": stamp.inode,
            "frame_id": taken.record.frame_id,
            "now": time_text(now),
        }
        last = self._row(_LAST_SIGHTING, {"path": path})
        if last is not None and last["frame_id"] == taken.record.frame_id:
            self._write(_CONTINUE_SIGHTING, {**row, "sighting_id": last["sighting_id"]})
        else:
            self._write(_PUT_SIGHTING, row)

    def _enter(self, record: FrameRecord, now: datetime) -> None:
        """Let a frame that is new, or was gone, count: its nights are to be settled again."""
        self._write(_SET_LIVE, {"frame_id": record.frame_id, "live": 1})
        self._touch_nights_of_frame(record.frame_id, now)

    def _end_sighting(self, sighting: sqlite3.Row, now: datetime) -> bool:
        """End a sighting; return whether it was the frame's last."""
        frame_id = str(sighting["frame_id"])
        self._write(_END_SIGHTING, {"sighting_id": sighting["sighting_id"], "now": time_text(now)})
        if self._value(_HAS_SIGHTING, {"frame_id": frame_id}):
            return False
        self._write(_SET_LIVE, {"frame_id": frame_id, "live": 0})
        self._touch_nights_of_frame(frame_id, now)
        self._choose_among_equal_pixels(frame_id, now)
        return True


_KNOWN_FILES = "SELECT path, size_bytes, mtime_ns, ctime_ns, inode FROM sightings WHERE gone_at IS NULL"
_ARRIVALS = "SELECT * FROM arrivals ORDER BY first_seen, path"
_NOTE_ARRIVAL = """INSERT INTO arrivals (path, reason, detail, size_bytes, first_seen, next_look)
    VALUES (:path, :reason, :detail, :size_bytes, :first_seen, :next_look)
    ON CONFLICT (path) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
        size_bytes = excluded.size_bytes, next_look = excluded.next_look"""
_DROP_ARRIVAL = "DELETE FROM arrivals WHERE path = :path"

_FRAME_STANDS = "SELECT takes_part, superseded_by, live FROM frames WHERE frame_id = :frame_id"
_PUT_FRAME = """INSERT INTO frames (frame_id, data_sha256, kind, label, kind_source, camera, configuration, exposure_s,
        ccd_temp_c, set_temp_c, filter_name, object_name, obs_start, night, gain_e_per_adu, read_noise_e,
        saturation_adu, dialect, container, state, reason, detail, flags, notes, sources, configuration_json,
        group_filter, cards, takes_part, live, stale, first_seen, changed_at)
    VALUES (:frame_id, :data_sha256, :kind, :label, :kind_source, :camera, :configuration, :exposure_s,
        :ccd_temp_c, :set_temp_c, :filter_name, :object_name, :obs_start, :night, :gain_e_per_adu, :read_noise_e,
        :saturation_adu, :dialect, :container, :state, :reason, :detail, :flags, :notes, :sources, :configuration_json,
        :group_filter, :cards, :takes_part, 0, :stale, :now, :now)
    ON CONFLICT (frame_id) DO UPDATE SET data_sha256 = excluded.data_sha256, kind = excluded.kind,
        cards = excluded.cards, label = excluded.label, kind_source = excluded.kind_source, camera = excluded.camera,
        configuration = excluded.configuration, exposure_s = excluded.exposure_s, ccd_temp_c = excluded.ccd_temp_c,
        set_temp_c = excluded.set_temp_c, filter_name = excluded.filter_name, object_name = excluded.object_name,
        obs_start = excluded.obs_start, night = excluded.night, gain_e_per_adu = excluded.gain_e_per_adu,
        read_noise_e = excluded.read_noise_e, saturation_adu = excluded.saturation_adu, dialect = excluded.dialect,
        container = excluded.container, state = excluded.state, reason = excluded.reason, detail = excluded.detail,
        flags = excluded.flags, notes = excluded.notes, sources = excluded.sources,
        configuration_json = excluded.configuration_json, group_filter = excluded.group_filter,
        takes_part = excluded.takes_part, live = 0, stale = excluded.stale, changed_at = excluded.changed_at"""
_DROP_PLANES = "DELETE FROM planes WHERE frame_id = :frame_id"
_PUT_PLANE = """INSERT INTO planes (frame_id, plane_index, name, ny, nx, bitpix, bzero, bscale, blank, data_offset,
        encoding, overscan, trim, gain_e_per_adu, read_noise_e, channels)
    VALUES (:frame_id, :plane_index, :name, :ny, :nx, :bitpix, :bzero, :bscale, :blank, :data_offset,
        :encoding, :overscan, :trim, :gain_e_per_adu, :read_noise_e, :channels)"""
_SET_LIVE = "UPDATE frames SET live = :live WHERE frame_id = :frame_id"
_OPEN_NIGHT = """INSERT INTO nights (camera, kind, configuration, filter_name, night, stale, touched_at)
    VALUES (:camera, :kind, :configuration, :group_filter, :night, 1, :now)
    ON CONFLICT DO UPDATE SET stale = 1, charted = 0, touched_at = excluded.touched_at"""

_STANDING_SIGHTING = "SELECT sighting_id, frame_id FROM sightings WHERE path = :path AND gone_at IS NULL"
_LAST_SIGHTING = "SELECT sighting_id, frame_id FROM sightings WHERE path = :path ORDER BY sighting_id DESC LIMIT 1"
_HAS_SIGHTING = "SELECT EXISTS (SELECT 1 FROM sightings WHERE frame_id = :frame_id AND gone_at IS NULL)"
_PUT_SIGHTING = """INSERT INTO sightings (path, file_name, size_bytes, mtime_ns, ctime_ns, inode, first_seen, last_seen,
        frame_id)
    VALUES (:path, :file_name, :size_bytes, :mtime_ns, :ctime_ns, :inode, :now, :now, :frame_id)"""
_CONTINUE_SIGHTING = """UPDATE sightings SET size_bytes = :size_bytes, mtime_ns = :mtime_ns, ctime_ns = :ctime_ns,
    inode = :inode, last_seen = :now, gone_at = NULL WHERE sighting_id = :sighting_id"""
_END_SIGHTING = "UPDATE sightings SET gone_at = :now WHERE sighting_id = :sighting_id"
