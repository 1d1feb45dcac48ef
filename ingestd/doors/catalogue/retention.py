"""Which files stand on disk by right, and which of them have been superseded long enough to go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ingestd.doors.catalogue.reading import Reading
from ingestd.doors.catalogue.texts import decode_path, encode_path, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class Retention(Reading):
    """Rows outlive their files: a pruned product stays in the catalogue as history."""

    def product_paths(self) -> dict[str, str]:
        """Return every recorded file that has not been pruned, relative to the data directory, with its SHA-256."""
        return {decode_path(row["path"]): row["sha256"] for row in self._rows(_PRODUCT_PATHS)}

    def current_products(self) -> list[tuple[str, str, str | None]]:
        """Return (frame_id, path, night) of every current product: what the stable links point to."""
        return [(row["frame_id"], decode_path(row["path"]), row["night"]) for row in self._rows(_CURRENT_PRODUCTS)]

    def withdrawn_products(self, frame_ids: Iterable[str]) -> list[str]:
        """Return the products of frames that are superseded or rejected, and of those that one of them supersedes."""
        return [decode_path(row["path"]) for row in self._rows(_WITHDRAWN, {"ids": json.dumps(list(frame_ids))})]

    def former_products(self, frame_id: str) -> list[str]:
        """Return the products of a frame that stand beside its current one."""
        return [decode_path(row["path"]) for row in self._rows(_FORMER_PRODUCTS, {"frame_id": frame_id})]

    def superseded_products(self, keep: int) -> list[tuple[str, str]]:
        """Return (reduction_id, path) of products that are not current, beyond the newest ``keep`` of each frame."""
        rows = self._rows(_SUPERSEDED_PRODUCTS, {"keep": keep})
        return [(row["reduction_id"], decode_path(row["path"])) for row in rows]

    def expired_products(self, before_night: str) -> list[tuple[str, str]]:
        """Return (reduction_id, path) of products of nights before this one."""
        rows = self._rows(_EXPIRED_PRODUCTS, {"night": before_night})
        return [(row["reduction_id"], decode_path(row["path"])) for row in rows]

    def unused_masters(self, keep: int) -> list[tuple[str, str]]:
        """Return (master_id, path) of masters that nothing current uses, beyond the newest ``keep`` of each group.

        Something current: the master itself, a product, a flat that has it as a parent, a dark measured against it.
        """
        rows = self._rows(_UNUSED_MASTERS, {"keep": keep})
        return [(row["master_id"], decode_path(row["path"])) for row in rows]

    def mark_pruned(self, *, reduction_ids: Iterable[str] = (), master_ids: Iterable[str] = (), now: datetime) -> None:
        """Write down that files were removed."""
        time = time_text(now)
        reductions: list[dict[str, object]] = [{"id": found, "now": time} for found in reduction_ids]
        masters: list[dict[str, object]] = [{"id": found, "now": time} for found in master_ids]
        with self.transaction():
            self._write_many(_PRUNE_REDUCTION, reductions)
            self._write_many(_PRUNE_MASTER, masters)

    def lose_master(self, path: str, now: datetime) -> None:
        """Write down that the file of a master is no longer whole: its night lacks a master, and builds it again."""
        parameters = {"path": encode_path(path), "now": time_text(now)}
        with self.transaction():
            self._write(_LOSE_MASTER, parameters)
            self._write(_LACK_MASTER, parameters)


_LOSE_MASTER = "UPDATE masters SET pruned_at = :now WHERE path = :path AND pruned_at IS NULL"
_LACK_MASTER = """UPDATE nights SET stale = 1 FROM masters m WHERE m.path = :path AND nights.camera = m.camera
    AND nights.kind = m.kind AND nights.configuration = m.configuration
    AND nights.filter_name = ifnull(m.filter_name, '') AND nights.night = m.night"""
_PRODUCT_PATHS = """SELECT path, sha256 FROM reductions WHERE pruned_at IS NULL
    UNION ALL SELECT path, sha256 FROM masters WHERE pruned_at IS NULL"""
_CURRENT_PRODUCTS = "SELECT frame_id, path, night FROM reductions WHERE current = 1 AND pruned_at IS NULL"
_WITHDRAWN = """SELECT path FROM reductions WHERE pruned_at IS NULL AND frame_id IN (
        SELECT frame_id FROM frames WHERE superseded_by IN (SELECT value FROM json_each(:ids))
        UNION SELECT frame_id FROM frames
        WHERE frame_id IN (SELECT value FROM json_each(:ids))
        AND (superseded_by IS NOT NULL OR decision = 'rejected'))"""
_FORMER_PRODUCTS = """SELECT path FROM reductions
    WHERE frame_id = :frame_id AND current = 0 AND pruned_at IS NULL"""
_SUPERSEDED_PRODUCTS = """SELECT reduction_id, path FROM (
        SELECT reduction_id, path,
            row_number() OVER (PARTITION BY frame_id ORDER BY created_at DESC, reduction_id) AS age
        FROM reductions INDEXED BY reductions_superseded WHERE current = 0 AND pruned_at IS NULL)
    WHERE age > :keep"""
_EXPIRED_PRODUCTS = """SELECT reduction_id, path FROM reductions INDEXED BY reductions_night
    WHERE night < :night AND pruned_at IS NULL"""
_UNUSED_MASTERS = """SELECT master_id, path FROM (
        SELECT master_id, path, row_number() OVER (
            PARTITION BY camera, kind, configuration, filter_name ORDER BY created_at DESC, master_id) AS age
        FROM masters INDEXED BY masters_superseded
        WHERE current = 0 AND pruned_at IS NULL AND provenance = 'built') old
    WHERE age > :keep
    AND NOT EXISTS (SELECT 1 FROM used_masters JOIN reductions USING (reduction_id)
        WHERE used_masters.master_id = old.master_id AND current = 1)
    AND NOT EXISTS (SELECT 1 FROM parents JOIN masters child ON child.master_id = parents.master_id
        WHERE parents.parent_id = old.master_id AND child.current = 1)
    AND NOT EXISTS (SELECT 1 FROM masters dark WHERE dark.measured_with = old.master_id AND dark.current = 1)"""
_PRUNE_REDUCTION = "UPDATE reductions SET pruned_at = :now WHERE reduction_id = :id"
_PRUNE_MASTER = "UPDATE masters SET pruned_at = :now WHERE master_id = :id AND current = 0"
