"""What ``explain`` says of a master: what it is made of, what was left out and why, how good it is, what it serves."""

from __future__ import annotations

from typing import Any

from ingestd.api.choosing import calibration_now
from ingestd.records import CALIBRATION_KINDS, FrameRecord, Kind
from ingestd.rules import clusters, groups, lacking
from ingestd.rules.matching import celsius
from ingestd.settings import Camera, Rules, Settings


def master_account(
    catalogue: Any,  # noqa: ANN401 - a Catalogue
    row: dict[str, Any],
    settings: Settings,
) -> dict[str, Any]:
    """Return all that is known of one master: its row, its lineage, and why frames of its group are not in it."""
    master_id, rules = row["master_id"], settings.rules_of(row["camera"])
    first_night = groups.night_before(row["night"], rules.master(Kind(row["kind"])).window_d)
    found = catalogue.lineage(master_id, first_night)
    left_out = [
        {name: it[name] for name in ("frame_id", "path", "night", "obs_start")}
        | {"why": _why(it, row, rules) or _unfit(catalogue, it["frame_id"], settings) or _why_else(row, rules)}
        for it in found["left_out"]
    ]
    return {
        **row,
        "green_needs": rules.master(Kind(row["kind"])).grade_members[0],
        "window": {"first_night": first_night, "last_night": row["night"]},
        "frames": found["members"],
        "left_out": left_out,
        "parents": found["parents"],
        "products": found["products"],
        "decisions": catalogue.decisions(master_id=master_id),
    }


def held_by(
    catalogue: Any,  # noqa: ANN401 - a Catalogue
    frame: FrameRecord,
    row: dict[str, Any],
    settings: Settings,
) -> dict[str, Any]:
    """Return which masters hold a calibration frame, and of one that no master in force holds why that is."""
    masters = catalogue.holding(frame.frame_id)
    is_measured = row["state"] == "done" and row["reason"] == "catalogued" and not row["detail"]
    if frame.kind not in CALIBRATION_KINDS or frame.night is None or not is_measured:
        return {"held_by": masters, "why_not": None}
    rules, group = settings.rules_of(frame.camera), groups.group_of(frame)
    nights = lacking.nights_together(group, frame.night, rules)
    camera = camera_of(frame, settings)
    why_not = lacking.frames_in_words(catalogue, group, nights, frame.ccd_temp_c, rules, camera)
    unfit = _unfit(catalogue, frame.frame_id, settings)
    return {"held_by": masters, "why_not": "; ".join(filter(None, (why_not, unfit)))}


def camera_of(frame: FrameRecord, settings: Settings) -> Camera:
    """Return the settings of the camera of a frame; one that left the settings keeps the defaults."""
    return next((camera for camera in settings.camera if camera.name == frame.camera), Camera(frame.camera))


def held_lines(frame: dict[str, Any]) -> list[str]:
    """Return the same for a person."""
    lines = [
        f"  {'in master':14} {it['path']} of night {it['night']}, {'in force' if it['current'] else 'superseded'}"
        for it in frame.get("held_by", [])
    ]
    return lines + ([f"  {'in no master':14} {frame['why_not']}"] if frame.get("why_not") else [])


def _why(frame: dict[str, Any], master: dict[str, Any], rules: Rules) -> str:
    """Return what about a frame of the group and window of a master kept it out, or an empty text."""
    if found := lacking.flaw(frame):
        return f"{found}: {frame['detail']}" if found == frame["screened"] and frame["detail"] else found
    reach_s = clusters.exposure_tolerance_s(master["exposure_s"], rules.matching.dark)
    if master["kind"] == "dark" and not clusters.is_near(frame["exposure_s"], master["exposure_s"], reach_s):
        return f"another exposure: {frame['exposure_s']} s"
    reach_c = 2 * groups.CLUSTER_TEMP_C
    if master["kind"] != "flat" and not clusters.is_near(frame["ccd_temp_c"], master["ccd_temp_c"], reach_c):
        return f"another temperature: {celsius(frame['ccd_temp_c'])}"
    return ""


def _unfit(
    catalogue: Any,  # noqa: ANN401 - a Catalogue
    frame_id: str,
    settings: Settings,
) -> str:
    """Return why a flat cannot be calibrated, so that no master takes it, or an empty text."""
    frame = catalogue.frame(frame_id)
    if frame is None or frame.kind is not Kind.FLAT or frame.obs_start is None:
        return ""
    found = calibration_now(catalogue, settings, frame, frame.obs_start, (Kind.BIAS, Kind.DARK))
    if found.matches or not found.waits:
        return ""
    return f"it cannot be calibrated: {'; '.join(it.reason.rstrip('.') for it in found.waits)}"


def _why_else(master: dict[str, Any], rules: Rules) -> str:
    """Return what may have kept a frame out of a master where nothing is wrong with it."""
    maximum = rules.master(Kind(master["kind"])).maximum
    if master["members"] < maximum:
        return "its light, its cards or its hardware epoch is another, or it came when the master was made"
    return f"not among the newest {maximum} of its temperature, exposure and hardware epoch"


def master_text(master: dict[str, Any]) -> str:
    """Return the account for a person."""
    window = master["window"]
    state = "current" if master["current"] else "superseded"
    lines = [
        master["path"],
        f"  {'master':14} {master['kind']}, {state}, {master['provenance']}; {master['master_id']}",
        f"  {'camera':14} {master['camera']}: {master['configuration']}",
        f"  {'conditions':14} {_conditions(master)}",
        f"  {'observed':14} {master['first_obs']} to {master['last_obs']} UTC",
        f"  {'window':14} nights {window['first_night']} to {window['last_night']}",
        *_grade_lines(master),
    ]
    lines += [f"  {'operator':14} {it['decision']} at {it['time']}: {it['reason']}" for it in master["decisions"]]
    lines += [f"  {'made with':14} {it['kind']} {it['path']}" for it in master["parents"]]
    lines.append(f"  {'serves':14} {_counted(master['products'], 'current product')}")
    lines += [f"  {'member':14} {_frame(it)}" for it in master["frames"]]
    lines += [f"  {'left out':14} {_frame(it)}: {it['why']}" for it in master["left_out"]]
    return "\n".join(lines)


def _grade_lines(master: dict[str, Any]) -> list[str]:
    """Return the grade, and the two that it is the worse of: by the number of members, and by comparison."""
    number = _counted(master["members"], "member") if master["provenance"] == "built" else "made elsewhere"
    is_few = master["provenance"] == "built" and master["count_grade"] != groups.GRADES[0]
    needs = f", green needs {master['green_needs']}" if is_few else ""
    lines = [f"{master['grade']}, the worse of:"] if master["comparison"] else []
    lines.append(f"{master['count_grade']} by number: {number}{needs}")
    if master["comparison"]:
        lines.append(f"{master['comparison_grade']} by comparison: {master['comparison']}")
    return [f"  {'' if place else 'grade':14} {line}" for place, line in enumerate(lines)]


def _conditions(master: dict[str, Any]) -> str:
    """Return exposure, temperature and filter, as far as they are known."""
    words = [
        None if master["exposure_s"] is None else f"{master['exposure_s']:g} s",
        None if master["ccd_temp_c"] is None else f"{master['ccd_temp_c']:.1f} C",
        master["filter_name"],
    ]
    return ", ".join(it for it in words if it) or "-"


def _frame(frame: dict[str, Any]) -> str:
    """Return one frame in a line."""
    return f"{frame['obs_start']} {frame['path'] or frame['frame_id'][:16]}"


def _counted(number: int, what: str) -> str:
    """Return a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"
