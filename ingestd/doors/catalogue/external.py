"""Masters that were made elsewhere: in force from the moment they are recorded, of no night's making."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestd.doors.catalogue.rows import master_row
from ingestd.doors.catalogue.staleness import Staleness
from ingestd.doors.catalogue.texts import as_json, time_text

if TYPE_CHECKING:
    from datetime import datetime

    from ingestd.records import Master


class External(Staleness):
    """They are neither settled with a night nor pruned; ``reject`` and ``restore`` are for them too."""

    def add_external_master(
        self, master: Master, *, members: int, size_bytes: int, source: str, source_sha256: str, now: datetime
    ) -> None:
        """Record a master made elsewhere as current; what it can be used for is planned again.

        Parameters
        ----------
        master : Master
            Its file stands under ``path``, relative to the data directory.
        members : int
            How many frames it was made of, 0 if unknown.
        size_bytes : int
            Of its file.
        source, source_sha256 : str
            The file that it was copied from.
        now : datetime
            The time of the change.
        """
        row = {
            **master_row(master),
            "member_count": members,
            "size_bytes": size_bytes,
            "order": as_json({"order": "external", "source": source, "sha256": source_sha256}),
            "now": time_text(now),
        }
        self._masters_read.pop(master.master_id, None)
        with self.transaction():
            self._write(_PUT_MASTER, row)
            self._touch_what_masters_serve(self._rows(_MASTER, row), now)


_PUT_MASTER = """INSERT INTO masters (master_id, kind, camera, configuration, exposure_s, ccd_temp_c, filter_name,
        night, first_obs, last_obs, member_count, count_grade, path, sha256, cards, size_bytes, current, stale,
        provenance, order_json, created_at)
    VALUES (:master_id, :kind, :camera, :configuration, :exposure_s, :ccd_temp_c, :filter_name, :night,
        :first_obs, :last_obs, :member_count, :count_grade, :path, :sha256, :cards, :size_bytes, 1, 1,
        'external', :order, :now)
    ON CONFLICT (master_id) DO UPDATE SET member_count = excluded.member_count, count_grade = excluded.count_grade,
        sha256 = excluded.sha256, cards = excluded.cards, size_bytes = excluded.size_bytes,
        order_json = excluded.order_json,
        current = decision IS NOT 'rejected', pruned_at = NULL"""
_MASTER = "SELECT * FROM masters WHERE master_id = :master_id"
