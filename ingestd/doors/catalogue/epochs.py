"""Hardware epochs: what the raw frames of each night show of a camera, its breaks, and what operators said of them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from ingestd.doors.catalogue.judgements import chart_json, read_break, read_chart
from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.staleness import later_night
from ingestd.doors.catalogue.texts import clean_text, frames_key, time_text
from ingestd.records import Break, EpochWord, Group, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ingestd.records import ChartPoint


class Epochs(Reading):
    """The chart of a set-up is a function of its raw frames; its breaks follow from the chart and from the words."""

    # --- what planning asks -------------------------------------------------------------------------------------------

    def uncharted_nights(self, camera: str, setup: str, limit: int) -> list[tuple[Group, str]]:
        """Return groups and nights of a set-up whose raw frames changed since they were charted, at most so many."""
        rows = self._rows(_UNCHARTED, {"camera": camera, "setup": setup, "limit": limit})
        return [(Group(camera, Kind(row["kind"]), row["configuration"], None), row["night"]) for row in rows]

    def chart(self, camera: str, setup: str) -> list[ChartPoint]:
        """Return every point of the chart of a set-up, by kind and night."""
        points = []
        for kind in (Kind.BIAS, Kind.DARK):
            for row in self._rows(_CHART, {"camera": camera, "setup": setup, "kind": kind.value}):
                points += read_chart(row)
        return points

    def breaks(self, camera: str, setup: str) -> list[Break]:
        """Return the breaks of a set-up by night, with those that are suspected or undone."""
        return [read_break(row) for row in self._rows(_BREAKS, {"camera": camera, "setup": setup})]

    def epoch_words(self, camera: str, setup: str) -> list[EpochWord]:
        """Return what operators said of the epochs of a set-up, the oldest first."""
        rows = self._rows(_WORDS, {"camera": camera, "setup": setup})
        return [EpochWord(row["decision"], row["night"], row["other_night"] or "", row["reason"]) for row in rows]

    # --- what people ask ----------------------------------------------------------------------------------------------

    def break_rows(self, *, camera: str | None = None, night: str | None = None) -> list[dict[str, Any]]:
        """Return the breaks of all cameras, or of one of them, or of one night, by camera, set-up and night."""
        return [dict(row) for row in self._rows(_BREAK_ROWS, {"camera": camera, "night": night})]

    def setups(self, camera: str) -> list[str]:
        """Return the set-ups of the calibration frames of a camera."""
        return self._texts(_SETUPS, {"camera": camera})

    # --- changes ------------------------------------------------------------------------------------------------------

    def record_chart(self, group: Group, night: str, points: Iterable[ChartPoint]) -> None:
        """Record what the raw frames of a group and night show."""
        key = {
            **frames_key(group),
            "night": night,
            "chart": chart_json(points),
        }
        with self.transaction():
            self._write(_PUT_CHART, key)

    def record_breaks(
        self, camera: str, setup: str, breaks: Sequence[Break], now: datetime
    ) -> list[tuple[Break | None, Break | None]]:
        """Make exactly these the breaks of a set-up; what lies near one that moved or changed is planned again.

        Returns
        -------
        list of (Break or None, Break or None)
            Each break whose status changed, before and after.
        """
        changed: list[tuple[Break | None, Break | None]] = []
        with self.transaction():
            before = {it.night: it for it in self.breaks(camera, setup)}
            after = {it.night: it for it in breaks}
            for night in sorted(before.keys() | after.keys()):
                old, new = before.get(night), after.get(night)
                if old == new:
                    continue
                key = {"camera": clean_text(camera), "setup": clean_text(setup), "night": night}
                if new is None:
                    self._write(_DROP_BREAK, key)
                else:
                    self._write(_PUT_BREAK, _break_row(new, key, now))
                if (old and old.status) != (new and new.status):
                    changed.append((old, new))
                if _bearing(old) != _bearing(new):
                    self._touch_beside(key)
        return changed

    def decide_epoch(self, camera: str, setup: str, word: EpochWord, now: datetime) -> None:
        """Record an operator's word on the epochs of a set-up; the breaks that follow are recorded separately."""
        row: dict[str, object] = {
            "camera": clean_text(camera),
            "setup": clean_text(setup),
            "decision": word.word,
            "night": word.night,
            "other": word.other or None,
            "reason": clean_text(word.reason),
            "now": time_text(now),
        }
        with self.transaction():
            self._write(_PUT_WORD, row)

    def _touch_beside(self, key: dict[str, str]) -> None:
        """Mark what a break can change: masters with members beyond it, and whatever such a master can be used for.

        Masters are valid before their first frame too, so both sides count; the gains of earlier nights count for
        every later science frame without a gain of its own.
        """
        masters = self.rules.rules_of(key["camera"]).masters
        reach = ceil(max(it.longest_d + it.window_d for it in (masters.bias, masters.dark, masters.flat))) + 1
        night = key["night"]
        parameters = {**key, "first": later_night(night, -reach), "last": later_night(night, reach)}
        for kind in (Kind.BIAS, Kind.DARK, Kind.FLAT):
            self._write(_MARK_NIGHTS, {**parameters, "kind": kind.value})
        self._write(_MARK_MASTERS, parameters)
        self._write(_MARK_LIGHTS, parameters)
        self._write(_MARK_LIGHTS_OF_GAIN, parameters)


def _bearing(it: Break | None) -> tuple[bool, str] | None:
    """Return what of a break matters to masters and products, and to what is said of them."""
    return None if it is None or it.status == "undone" else (it.is_open, it.cause)


def _break_row(it: Break, key: dict[str, str], now: datetime) -> dict[str, object]:
    """Return the columns of a break."""
    return {
        **key,
        "after": it.after,
        "status": it.status,
        "cause": clean_text(it.cause),
        "reason": clean_text(it.reason),
        "now": time_text(now),
    }


_UNCHARTED = """SELECT kind, configuration, night FROM nights INDEXED BY nights_uncharted
    WHERE camera = :camera AND setup = :setup AND charted = 0 AND kind <> 'flat'
    ORDER BY kind, configuration, night LIMIT :limit"""
_CHART = """SELECT kind, configuration, night, chart FROM nights INDEXED BY nights_setup
    WHERE camera = :camera AND kind = :kind AND setup = :setup ORDER BY night, configuration"""
_BREAKS = "SELECT * FROM breaks WHERE camera = :camera AND setup = :setup ORDER BY night"
_WORDS = """SELECT decision, night, other_night, reason FROM decisions INDEXED BY decisions_epoch
    WHERE camera = :camera AND setup = :setup AND setup IS NOT NULL ORDER BY decision_id"""
_BREAK_ROWS = """SELECT camera, setup, night, after_night, status, cause, reason, noted_at FROM breaks
    WHERE camera = ifnull(:camera, camera) AND night = ifnull(:night, night) ORDER BY camera, setup, night"""
_SETUPS = "SELECT DISTINCT setup FROM nights WHERE camera = :camera ORDER BY setup"
_PUT_CHART = """UPDATE nights SET chart = :chart, charted = 1
    WHERE camera = :camera AND kind = :kind AND configuration = :configuration AND filter_name = :group_filter
    AND night = :night"""
_PUT_BREAK = """INSERT INTO breaks (camera, setup, night, after_night, status, cause, reason, noted_at)
    VALUES (:camera, :setup, :night, :after, :status, :cause, :reason, :now)
    ON CONFLICT DO UPDATE SET after_night = excluded.after_night, cause = excluded.cause, reason = excluded.reason,
        noted_at = CASE WHEN status = excluded.status THEN noted_at ELSE excluded.noted_at END,
        status = excluded.status"""
_DROP_BREAK = "DELETE FROM breaks WHERE camera = :camera AND setup = :setup AND night = :night"
_PUT_WORD = """INSERT INTO decisions (time, decision, reason, camera, setup, night, other_night)
    VALUES (:now, :decision, :reason, :camera, :setup, :night, :other)"""
_MARK_NIGHTS = """UPDATE nights SET stale = 1
    WHERE camera = :camera AND kind = :kind AND setup = :setup AND night BETWEEN :first AND :last"""
_MARK_MASTERS = """UPDATE masters SET stale = 1
    WHERE camera = :camera AND setup = :setup AND current = 1 AND pruned_at IS NULL
    AND night BETWEEN :first AND :last"""
# What crosses a break is reduced again at once: a delay ends.
_MARK_LIGHTS = """UPDATE frames SET stale = 1, again_at = NULL
    WHERE camera = :camera AND setup = :setup AND night BETWEEN :first AND :last
    AND kind = 'light' AND takes_part = 1 AND (stale = 0 OR again_at IS NOT NULL) AND superseded_by IS NULL
    AND state <> 'quarantined'"""
_MARK_LIGHTS_OF_GAIN = """UPDATE frames SET stale = 1, again_at = NULL
    WHERE camera = :camera AND setup = :setup AND night >= :night AND gain_e_per_adu IS NULL
    AND kind = 'light' AND takes_part = 1 AND (stale = 0 OR again_at IS NOT NULL) AND superseded_by IS NULL
    AND state <> 'quarantined'"""
