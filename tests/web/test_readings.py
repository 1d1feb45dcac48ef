"""What /metrics shows of a real catalogue: counts, quality figures, and the masters that would be used now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from ingestd.doors.catalogue import Catalogue, TakenFrame
from ingestd.doors.exporter import CoverageCount, MasterInUse, Telemetry
from ingestd.errors import CatalogueUnusable
from ingestd.records import (
    Configuration,
    FileStamp,
    FrameRecord,
    Group,
    Kind,
    Master,
    Metric,
    Outcome,
    Plane,
    State,
)
from ingestd.settings import Settings, parse_settings
from ingestd.web import catalogue_query
from ingestd.web.readings import read_figures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SETUP = Configuration("Apogee", 100, 80, 1, 1, None, "", None, None, "", 1, ())
PLANE = Plane(0, "", (80, 100), 16, 32768.0, 1.0, None, 2880, "raw", None, None, None, None)


def frame(number: int, kind: Kind, at: datetime, filter_name: str | None = None) -> FrameRecord:
    return FrameRecord(
        frame_id=f"{number:064x}",
        data_sha256=f"{number + 1000:064x}",
        kind=kind,
        label=kind.value,
        camera="north",
        configuration=SETUP,
        exposure_s=60.0 if kind in {Kind.LIGHT, Kind.DARK} else 0.0,
        ccd_temp_c=-20.0,
        set_temp_c=-20.0,
        filter_name=filter_name,
        object_name=None,
        obs_start=at,
        night=at.date().isoformat(),
        gain_e_per_adu=None,
        read_noise_e=None,
        saturation_adu=None,
        planes=(PLANE,),
        dialect="test",
        container="plain",
        sources=(("kind", "IMAGETYP"),),
        flags=(),
        notes=(),
    )


def master(member: FrameRecord) -> Master:
    assert member.obs_start is not None
    assert member.night is not None
    digest = f"{int(member.frame_id, 16) + 2000:064x}"
    return Master(
        master_id=digest,
        kind=member.kind,
        camera=member.camera,
        configuration=SETUP.key(),
        exposure_s=member.exposure_s,
        ccd_temp_c=member.ccd_temp_c,
        filter_name=member.filter_name,
        night=member.night,
        first_obs=member.obs_start - HOUR,
        last_obs=member.obs_start,
        members=(member.frame_id,),
        parents=(),
        path=f"masters/{digest}.fits",
        sha256=digest,
        grade="normal",
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse_settings({"camera": [{"name": "north"}, {"name": "south"}], "paths": {"data": str(tmp_path)}})


@pytest.fixture
def catalogue(settings: Settings) -> Iterator[Catalogue]:
    with Catalogue.open(settings.catalogue_path) as opened:
        yield opened


def take(catalogue: Catalogue, *frames: FrameRecord) -> None:
    stamp = FileStamp(2880, 1, 1, 1)
    taken = [TakenFrame(record, f"/in/{record.frame_id}.fits", stamp, State.WAITING, "due") for record in frames]
    catalogue.add_frames(taken, NOW)


def build(catalogue: Catalogue, *members: FrameRecord, metrics: tuple[Metric, ...] = ()) -> list[Master]:
    """Take the frames and make each of them a current master of its own."""
    take(catalogue, *members)
    made = [master(member) for member in members]
    for one in made:
        outcome = Outcome(one.master_id, "done", sha256=one.sha256, size_bytes=1, metrics=metrics)
        catalogue.record_master(one, one.master_id, outcome, {metric.name: "ADU" for metric in metrics}, NOW)
        group = Group(one.camera, one.kind, one.configuration, one.filter_name)
        catalogue.settle_night(group, one.night, [one.master_id], NOW)
    return made


def in_use(masters: list[MasterInUse]) -> dict[tuple[str, str | None], tuple[datetime | None, bool]]:
    return {(str(row.kind), row.filter_name): (row.last_obs, row.is_available) for row in masters}


def masters_of(catalogue: Catalogue, settings: Settings) -> dict[tuple[str, str | None], tuple[datetime | None, bool]]:
    return in_use(list(read_figures(catalogue, settings, NOW).masters))


def test_the_masters_in_use_are_those_of_the_order_of_choosing(catalogue: Catalogue, settings: Settings) -> None:
    old, new = NOW - 3 * DAY, NOW - DAY
    build(catalogue, frame(1, Kind.BIAS, old), frame(2, Kind.BIAS, new), frame(3, Kind.FLAT, old, "V"))
    # A dark of 60 s and -20 C fits; the newer one is 5 C warmer and does not.
    warm = replace(frame(5, Kind.DARK, new), ccd_temp_c=-15.0)
    build(catalogue, frame(4, Kind.DARK, old), warm)
    take(catalogue, frame(6, Kind.LIGHT, NOW - HOUR, "V"), frame(7, Kind.LIGHT, NOW - 2 * HOUR, "R"))
    found = masters_of(catalogue, settings)
    assert found["bias", None] == (new, True)
    assert found["dark", None] == (old, True)
    assert found["flat", "V"] == (old, True)
    assert found["flat", "R"] == (None, False)


def test_an_expired_master_is_shown_with_its_age_but_not_as_available(catalogue: Catalogue, settings: Settings) -> None:
    # Flats are valid for 30 days by default.
    build(catalogue, frame(1, Kind.FLAT, NOW - 31 * DAY, "V"))
    take(catalogue, frame(2, Kind.LIGHT, NOW - HOUR, "V"))
    assert masters_of(catalogue, settings)["flat", "V"] == (NOW - 31 * DAY, False)


def test_without_science_frames_the_newest_master_of_each_kind_counts(catalogue: Catalogue, settings: Settings) -> None:
    build(catalogue, *(frame(number, Kind.BIAS, NOW - number * DAY) for number in (1, 2, 3)))
    build(catalogue, frame(9, Kind.FLAT, NOW - 31 * DAY, "V"))
    expected = {("bias", None): (NOW - DAY, True), ("flat", "V"): (NOW - 31 * DAY, False)}
    assert masters_of(catalogue, settings) == expected


def test_an_empty_catalogue_has_no_figures(catalogue: Catalogue, settings: Settings) -> None:
    figures = read_figures(catalogue, settings, NOW)
    assert (list(figures.frames), list(figures.qa), list(figures.masters)) == ([], [], [])


def test_a_scrape_shows_what_is_recorded_also_after_a_restart(catalogue: Catalogue, settings: Settings) -> None:
    build(catalogue, frame(1, Kind.BIAS, NOW - 2 * HOUR), metrics=(Metric("read_noise_adu", 5.84, plane=0),))
    take(catalogue, frame(2, Kind.LIGHT, NOW - HOUR, "V"))
    for _ in range(2):  # the second telemetry is that of a daemon that was started anew
        telemetry = Telemetry(settings, lambda: NOW, catalogue_query(lambda: settings, lambda: NOW))
        text = telemetry.render().decode("ascii")
        assert 'ingestd_read_noise_adu{camera="north",channel="",filter="",kind="bias",plane="0"} 5.84' in text
        assert 'ingestd_frames{kind="light",state="waiting"} 1.0' in text
        assert 'ingestd_master_age_seconds{camera="north",filter="",kind="bias"} 7200.0' in text
        assert "ingestd_catalogue_readable 1.0" in text


def test_coverage_counts_what_science_used(catalogue: Catalogue, settings: Settings) -> None:
    """The bias and the dark serve V and R; the flat of V has three of thirty days left, R has none."""
    build(catalogue, frame(1, Kind.BIAS, NOW - DAY), frame(2, Kind.DARK, NOW - DAY))
    build(catalogue, frame(3, Kind.FLAT, NOW - 27 * DAY, "V"))
    take(catalogue, frame(6, Kind.LIGHT, NOW - HOUR, "V"), frame(7, Kind.LIGHT, NOW - 2 * HOUR, "R"))
    counts = {row.kind: row for row in read_figures(catalogue, settings, NOW).coverage}
    assert counts["dark"] == CoverageCount("north", "dark", 2, 0, 0, 0)
    assert counts["flat"] == CoverageCount("north", "flat", 0, 1, 1, 3)
    # the exact dark carries the bias
    assert counts["bias"] == CoverageCount("north", "bias", 0, 0, 0, 0)


def test_coverage_is_surveyed_at_most_once_a_minute(catalogue: Catalogue, settings: Settings) -> None:
    clock = [NOW]
    query = catalogue_query(lambda: settings, lambda: clock[0])
    assert query().coverage == []
    take(catalogue, frame(6, Kind.LIGHT, NOW - HOUR, "V"))
    clock[0] = NOW + timedelta(seconds=59)
    assert query().coverage == []
    clock[0] = NOW + timedelta(seconds=60)
    assert [row.missing for row in query().coverage] == [1, 1, 1]


def test_a_missing_catalogue_is_unreadable_not_fatal(settings: Settings) -> None:
    query = catalogue_query(lambda: settings, lambda: NOW)
    with pytest.raises(CatalogueUnusable):
        query()
    assert b"ingestd_catalogue_readable 0.0" in Telemetry(settings, lambda: NOW, query).render()


def test_scrapes_go_on_while_the_writer_is_in_a_transaction(catalogue: Catalogue, settings: Settings) -> None:
    telemetry = Telemetry(settings, lambda: NOW, catalogue_query(lambda: settings, lambda: NOW))
    with catalogue.transaction():
        take(catalogue, frame(1, Kind.BIAS, NOW))
        text = telemetry.render()
    # The reader sees the state before the transaction, and does not wait for it.
    assert b'ingestd_frames{kind="bias",state="waiting"} 0.0' in text
    assert b"ingestd_catalogue_readable 1.0" in text
