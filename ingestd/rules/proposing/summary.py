"""What was understood of the frames, as rows: one for each camera, one for each sort of frame."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ingestd.records import FrameRecord, Kind
from ingestd.rules.clusters import clusters
from ingestd.rules.groups import CLUSTER_TEMP_C
from ingestd.rules.proposing.values import CameraProposal, LightOutlook, MasterOutlook, Proposal

Row = dict[str, object]

_MOST_VALUES = 6
_KIND_ORDER = {kind: place for place, kind in enumerate(Kind)}
_NAMED_SOURCES = ("file name", "directory", "settings file_names", "OBJECT")


def camera_rows(proposal: Proposal) -> list[Row]:
    """Return a row for each camera: who wrote its frames, their size, sections, gain, read noise and nights."""
    return [_camera_row(camera) for camera in proposal.cameras]


def _camera_row(camera: CameraProposal) -> Row:
    frames = [each.frame for each in camera.looks if each.frame.planes]
    nights = sorted({frame.night for frame in frames if frame.night is not None})
    return {
        "camera": camera.camera.name,
        "instrument": _values(frame.configuration.instrument for frame in frames),
        "frames": len(frames),
        "written_by": _values(frame.dialect for frame in frames),
        "size_px": _values(f"{frame.configuration.width_px}x{frame.configuration.height_px}" for frame in frames),
        "planes": _values(frame.configuration.planes for frame in frames),
        "amplifiers": _values(frame.configuration.amplifiers for frame in frames),
        "overscan": _values(_overscan(frame) for frame in frames),
        "readout_mode": _values(frame.configuration.readout_mode for frame in frames),
        "gain_e_per_adu": _values(frame.gain_e_per_adu for frame in frames),
        "read_noise_e": _values(frame.read_noise_e for frame in frames),
        "saturation_adu": _values(frame.saturation_adu for frame in frames),
        "nights": f"{nights[0]} to {nights[-1]}" if len(nights) > 1 else "".join(nights),
    }


def _overscan(frame: FrameRecord) -> str:
    """Return the overscan of the first plane or amplifier that has any, as FITS counts pixels."""
    sections = [plane.overscan for plane in frame.planes]
    sections += [channel.overscan for plane in frame.planes for channel in plane.channels]
    found = next((section for section in sections if section is not None), None)
    return "" if found is None else f"[{found.x0 + 1}:{found.x1},{found.y0 + 1}:{found.y1}]"


def frame_rows(proposal: Proposal) -> list[Row]:
    """Return a row for each sort of frame: camera, kind, filter, binning, gain setting, with exposures and counts."""
    sorts: defaultdict[tuple[str, Kind, str, str, str, str], list[FrameRecord]] = defaultdict(list)
    for camera in proposal.cameras:
        for each in camera.looks:
            frame = each.frame
            setup = frame.configuration
            binning = f"{setup.x_binning}x{setup.y_binning}"
            setting = "" if setup.gain_setting is None else f"{setup.gain_setting:g}"
            key = (camera.camera.name, frame.kind, frame.label, frame.filter_name or "", binning, setting)
            sorts[key].append(frame)
    order = sorted(sorts, key=lambda key: (key[0], _KIND_ORDER[key[1]], *key[2:]))
    return [_frame_row(key, sorts[key]) for key in order]


def _frame_row(key: tuple[str, Kind, str, str, str, str], frames: Sequence[FrameRecord]) -> Row:
    camera, kind, label, filter_name, binning, setting = key
    kept_out = Counter(flag for frame in frames for flag in frame.flags)
    return {
        "camera": camera,
        "kind": kind.value if kind.value == label else f"{kind.value} ({label})",
        "frames": len(frames),
        "exposure_s": _values(sorted(frame.exposure_s for frame in frames if frame.exposure_s is not None)),
        "ccd_temp_c": _temperatures(frames),
        "filter": filter_name,
        "binning": binning,
        "gain_setting": setting,
        "said_by": _values(_said_by(frame) for frame in frames),
        "kept_out": ", ".join(f"{flag} ({count})" for flag, count in kept_out.most_common(3)),
    }


def _said_by(frame: FrameRecord) -> str:
    """Return the card, or the rule, that tells the kind of a frame."""
    source = frame.source("kind")
    return next((name for name in _NAMED_SOURCES if source.startswith(name)), source.partition(" = ")[0])


def _temperatures(frames: Sequence[FrameRecord]) -> str:
    """Return the temperatures, those of one set point together."""
    known = [frame.ccd_temp_c for frame in frames if frame.ccd_temp_c is not None]
    centres = [sum(known[i] for i in cluster) / len(cluster) for cluster in clusters(known, CLUSTER_TEMP_C)]
    return _values(f"{centre:.1f}" for centre in centres)


def outlook_rows(proposal: Proposal) -> list[Row]:
    """Return a row for each sort of master that the frames make, as it is after the last night."""
    latest: dict[tuple[object, ...], MasterOutlook] = {}
    for master in proposal.outlook.masters:
        exposure = None if master.kind is Kind.FLAT else master.exposure_s
        temperature = None if master.ccd_temp_c is None else round(master.ccd_temp_c)
        latest[master.camera, master.kind, master.filter_name, exposure, temperature] = master
    return [
        {
            "camera": master.camera,
            "kind": master.kind.value,
            "exposure_s": master.exposure_s if master.kind is Kind.DARK else None,
            "ccd_temp_c": None if master.ccd_temp_c is None else round(master.ccd_temp_c, 1),
            "filter": master.filter_name,
            "members": master.members,
            "night": master.night,
        }
        for master in latest.values()
    ]


def light_rows(proposal: Proposal) -> list[Row]:
    """Return a row for each fate of science frames."""
    return [
        {
            "camera": light.camera,
            "frames": light.frames,
            "applied": ", ".join(kind.value for kind in light.applied),
            "lacking": ", ".join(kind.value for kind, _ in light.lacking),
            "result": _result(light),
            "why": {kind.value: reason for kind, reason in light.lacking},
        }
        for light in proposal.outlook.lights
    ]


def _result(light: LightOutlook) -> str:
    """Return what becomes of science frames, in a word."""
    if not light.applied and not light.lacking:
        return "as they are: processed already"
    return "provisional" if light.is_provisional else "reduced"


def unclear_rows(proposal: Proposal) -> list[Row]:
    """Return a row for everything that was not understood, with what would supply it."""
    found = [(camera.camera.name, each) for camera in proposal.cameras for each in camera.unclear]
    found += [("", each) for each in proposal.others]
    return [
        {
            "camera": camera,
            "what": each.what,
            "frames": each.frames,
            "example": each.example,
            "looked_for": list(each.looked_for),
            "remedy": each.remedy,
        }
        for camera, each in found
    ]


def _values(values: Iterable[object]) -> str:
    """Return the distinct values in their order; beyond a few they are only counted."""
    found = list(dict.fromkeys(_word(value) for value in values if value not in {None, ""}))
    more = f", {len(found) - _MOST_VALUES} more" if len(found) > _MOST_VALUES else ""
    return ", ".join(found[:_MOST_VALUES]) + more


def _word(value: object) -> str:
    """Return a value in short."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
