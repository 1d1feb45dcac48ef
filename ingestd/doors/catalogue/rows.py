"""Rows <-> records: the values that pass this door."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, cast

from ingestd.doors.catalogue.texts import (
    as_json,
    clean_text,
    decode_path,
    encode_path,
    finite,
    group_filter,
    optional_text,
    optional_time_text,
    read_optional_time,
    read_section,
    read_time,
    section_text,
    time_text,
)
from ingestd.records import (
    Cards,
    Channel,
    Configuration,
    FrameRecord,
    Kind,
    Master,
    Metric,
    Plane,
)

if TYPE_CHECKING:
    import sqlite3

_INT64 = 1 << 63
_CONFIGURATION_FIELDS = tuple(item.name for item in fields(Configuration))


# --- frames -----------------------------------------------------------------------------------------------------------


def configuration_key(configuration: Configuration) -> str:
    """Return the key of a configuration; that of a file without an image is empty."""
    return clean_text(configuration.key()) if configuration.planes or configuration.width_px else ""


def frame_row(frame: FrameRecord) -> dict[str, object]:
    """Return the columns of table ``frames`` that hold a record."""
    return {
        "frame_id": frame.frame_id,
        "data_sha256": frame.data_sha256,
        "kind": frame.kind.value,
        "label": clean_text(frame.label),
        "kind_source": clean_text(frame.source("kind")),
        "camera": clean_text(frame.camera),
        "configuration": configuration_key(frame.configuration),
        "exposure_s": finite(frame.exposure_s),
        "ccd_temp_c": finite(frame.ccd_temp_c),
        "set_temp_c": finite(frame.set_temp_c),
        "filter_name": optional_text(frame.filter_name),
        "object_name": optional_text(frame.object_name),
        "obs_start": optional_time_text(frame.obs_start),
        "night": frame.night,
        "gain_e_per_adu": finite(frame.gain_e_per_adu),
        "read_noise_e": finite(frame.read_noise_e),
        "saturation_adu": finite(frame.saturation_adu),
        "dialect": clean_text(frame.dialect),
        "container": frame.container,
        "flags": as_json(frame.flags),
        "notes": as_json(frame.notes),
        "sources": as_json(frame.sources),
        "configuration_json": _configuration_json(frame.configuration),
        "group_filter": group_filter(frame.kind, frame.filter_name),
        "cards": as_json(frame.cards),
    }


def _configuration_json(configuration: Configuration) -> str:
    """Return a configuration as a JSON object with the names of its fields."""
    values = {name: getattr(configuration, name) for name in _CONFIGURATION_FIELDS}
    values["gain_setting"] = finite(configuration.gain_setting)
    values["offset_setting"] = finite(configuration.offset_setting)
    return as_json(values)


@lru_cache(maxsize=1024)
def _read_configuration(text: str) -> Configuration:
    """Return the configuration in its JSON object; a night has few, a catalogue has many rows of each."""
    values = json.loads(text)
    for name in ("window", "image_px"):
        pair = values[name]
        values[name] = None if pair is None else (pair[0], pair[1])
    values["extra"] = tuple((name, value) for name, value in values["extra"])
    return Configuration(**values)


@lru_cache(maxsize=1024)
def _read_texts(text: str) -> tuple[str, ...]:
    """Return the texts of a JSON list."""
    return tuple(json.loads(text))


@lru_cache(maxsize=1024)
def read_cards(text: str) -> Cards:
    """Return the header cards in their JSON list."""
    return tuple((name, value) for name, value in json.loads(text))


@lru_cache(maxsize=1024)
def _read_pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of texts of a JSON list."""
    return tuple((name, value) for name, value in json.loads(text))


def read_frame(row: sqlite3.Row, planes: tuple[Plane, ...]) -> FrameRecord:
    """Return the record in a row of table ``frames``."""
    return FrameRecord(
        frame_id=row["frame_id"],
        data_sha256=row["data_sha256"],
        kind=Kind(row["kind"]),
        label=row["label"],
        camera=row["camera"],
        configuration=_read_configuration(row["configuration_json"]),
        exposure_s=row["exposure_s"],
        ccd_temp_c=row["ccd_temp_c"],
        set_temp_c=row["set_temp_c"],
        filter_name=row["filter_name"],
        object_name=row["object_name"],
        obs_start=read_optional_time(row["obs_start"]),
        night=row["night"],
        gain_e_per_adu=row["gain_e_per_adu"],
        read_noise_e=row["read_noise_e"],
        saturation_adu=row["saturation_adu"],
        planes=planes,
        dialect=row["dialect"],
        container=cast('Literal["plain", "gzip"]', row["container"]),
        sources=_read_pairs(row["sources"]),
        flags=_read_texts(row["flags"]),
        notes=_read_texts(row["notes"]),
        cards=read_cards(row["cards"]),
    )


def plane_row(frame_id: str, plane: Plane) -> dict[str, object]:
    """Return a plane as a row of table ``planes``."""
    return {
        "frame_id": frame_id,
        "plane_index": plane.index,
        "name": clean_text(plane.name),
        "ny": plane.shape[0],
        "nx": plane.shape[1],
        "bitpix": plane.bitpix,
        "bzero": finite(plane.bzero),
        "bscale": finite(plane.bscale),
        "blank": plane.blank if plane.blank is not None and -_INT64 <= plane.blank < _INT64 else None,
        "data_offset": plane.offset,
        "encoding": plane.encoding,
        "overscan": section_text(plane.overscan),
        "trim": section_text(plane.trim),
        "gain_e_per_adu": finite(plane.gain_e_per_adu),
        "read_noise_e": finite(plane.read_noise_e),
        "channels": as_json([_channel_values(channel) for channel in plane.channels]),
    }


def _channel_values(channel: Channel) -> list[object]:
    """Return an amplifier as a JSON list: name, section, overscan, gain, read noise."""
    return [
        channel.name,
        section_text(channel.section),
        section_text(channel.overscan),
        finite(channel.gain_e_per_adu),
        finite(channel.read_noise_e),
    ]


@lru_cache(maxsize=1024)
def _read_channels(text: str) -> tuple[Channel, ...]:
    """Return the amplifiers in their JSON lists; all frames of a camera have the same."""
    found = []
    for name, section, overscan, gain, noise in json.loads(text):
        own = read_section(section)
        if own is not None:
            found.append(Channel(name, own, read_section(overscan), gain, noise))
    return tuple(found)


def read_plane(row: sqlite3.Row) -> Plane:
    """Return the plane in a row of table ``planes``."""
    return Plane(
        index=row["plane_index"],
        name=row["name"],
        shape=(row["ny"], row["nx"]),
        bitpix=row["bitpix"],
        bzero=math.nan if row["bzero"] is None else row["bzero"],
        bscale=math.nan if row["bscale"] is None else row["bscale"],
        blank=row["blank"],
        offset=row["data_offset"],
        encoding=cast('Literal["raw", "tile"]', row["encoding"]),
        overscan=read_section(row["overscan"]),
        trim=read_section(row["trim"]),
        gain_e_per_adu=row["gain_e_per_adu"],
        read_noise_e=row["read_noise_e"],
        channels=_read_channels(row["channels"]),
    )


# --- masters ----------------------------------------------------------------------------------------------------------


def master_row(master: Master) -> dict[str, object]:
    """Return the columns of table ``masters`` that hold a master; members and parents are rows of their own."""
    return {
        "master_id": master.master_id,
        "kind": master.kind.value,
        "camera": clean_text(master.camera),
        "configuration": clean_text(master.configuration),
        "exposure_s": finite(master.exposure_s),
        "ccd_temp_c": finite(master.ccd_temp_c),
        "filter_name": optional_text(master.filter_name),
        "night": master.night,
        "first_obs": time_text(master.first_obs),
        "last_obs": time_text(master.last_obs),
        "member_count": master.member_count,
        "count_grade": master.grade,
        "path": encode_path(master.path),
        "sha256": master.sha256,
        "cards": as_json(master.cards),
    }


def read_master(row: sqlite3.Row) -> Master:
    """Return the master in a row of ``masters``, without its members and parents."""
    return Master(
        master_id=row["master_id"],
        kind=Kind(row["kind"]),
        camera=row["camera"],
        configuration=row["configuration"],
        exposure_s=row["exposure_s"],
        ccd_temp_c=row["ccd_temp_c"],
        filter_name=row["filter_name"],
        night=row["night"],
        first_obs=read_time(row["first_obs"]),
        last_obs=read_time(row["last_obs"]),
        members=(),
        parents=(),
        path=decode_path(row["path"]),
        sha256=row["sha256"],
        grade=row["grade"],
        is_pinned=row["decision"] == "pinned",
        cards=read_cards(row["cards"]),
        valid_from=read_optional_time(row["valid_from"]),
        valid_until=read_optional_time(row["valid_until"]),
        member_count=0 if row["provenance"] == "external" else row["member_count"],
        grade_reason=row["comparison"] if row["comparison_grade"] not in (None, "green") else "",
    )


def read_metric(row: sqlite3.Row) -> Metric:
    """Return the figure in a row of table ``metrics``."""
    return Metric(row["name"], row["value"], row["error"], row["plane"], row["channel"])
