"""A frame is reduced again when better masters come: why, how often at most, and that the last one always happens."""

from datetime import UTC, datetime, timedelta

import pytest

from ingestd.flow.path import Flow
from ingestd.records import Kind
from tests.flow.observatory import header, observatory, write_night, write_shot

LIGHT = "light.fit"
AT_NIGHT = datetime(2025, 3, 1, 22, 30, tzinfo=UTC)
NOON = datetime(2025, 3, 2, 12, 0, tzinfo=UTC)
AGAIN_S = 600.0


def begin_night(place):
    """Let the clock show the night of the frames, and let biases, darks, flats and one science frame in."""
    place.now = AT_NIGHT
    write_night(place.incoming, lights=0)
    write_light(place)
    place.settle()


def write_light(place):
    write_shot(place.incoming, Kind.LIGHT, 0, exposure_s=60.0, hours=22.0, name=LIGHT)


def write_biases(place, first, hours=18.1):
    """Write three more biases, by default of the same evening: the master grows, and is hardly nearer."""
    for index in range(first, first + 3):
        write_shot(place.incoming, Kind.BIAS, index, hours=hours + index / 1000)


def write_exact_darks(place):
    for index in range(50, 53):
        write_shot(place.incoming, Kind.DARK, index, exposure_s=60.0, hours=19.0 + index / 1000)


def products(place):
    """Return the products of the science frame, the newest first."""
    return sorted(
        place.catalogue.product_rows(place.frame(LIGHT)["frame_id"]), key=lambda row: row["created_at"], reverse=True
    )


def pass_time(place, seconds):
    """Let the clock jump, then come to rest."""
    place.tick(seconds)
    place.settle()


# --- at most once in an interval --------------------------------------------------------------------------------------


@pytest.fixture
def limited(tmp_path):
    with observatory(tmp_path, reduction={"again_s": AGAIN_S, "nearer_h": 0.0, "closer_c": 0.0}) as place:
        yield place


def test_missing_masters_are_taken_once_the_interval_is_over(limited):
    place = limited
    place.now = AT_NIGHT
    write_light(place)
    place.settle()
    assert place.state(LIGHT) == ("provisional", "missing_master")
    write_night(place.incoming, lights=0)
    place.settle()
    assert len(products(place)) == 1
    status = place.catalogue.status()
    assert (status["delayed"], status["queue_depth"]) == (1, 0)
    pass_time(place, AGAIN_S)
    assert place.state(LIGHT) == ("done", "reduced")
    assert len(products(place)) == 2
    assert place.catalogue.status()["delayed"] == 0


def test_many_better_masters_in_one_interval_give_one_reduction_the_last(limited):
    place = limited
    begin_night(place)
    pass_time(place, AGAIN_S)
    before = len(products(place))
    write_biases(place, 20, hours=21.0)
    place.settle()
    first = len(products(place))
    for index, hours in ((30, 21.5), (40, 21.9)):
        write_biases(place, index, hours=hours)
        place.settle()
    assert len(products(place)) == first <= before + 1
    pass_time(place, AGAIN_S)
    assert len(products(place)) == first + 1
    assert place.used(LIGHT)["bias"]["path"] == place.masters("bias")[0]["path"]
    assert place.masters("bias")[0]["members"] == 12


def test_delay_outlives_a_restart(tmp_path):
    limits = {"again_s": AGAIN_S}
    with observatory(tmp_path, reduction=limits) as place:
        place.now = AT_NIGHT
        write_light(place)
        place.settle()
        write_night(place.incoming, lights=0)
        place.settle()
        left_at = place.now
    with observatory(tmp_path, reduction=limits) as place:
        place.now = left_at
        place.settle()
        assert place.state(LIGHT) == ("provisional", "missing_master")
        assert place.flow.seconds_to_next(place.now, place.monotonic) <= AGAIN_S
        pass_time(place, AGAIN_S)
        assert place.state(LIGHT) == ("done", "reduced")


def test_a_scan_delays_nothing(limited):
    place = limited
    place.now = AT_NIGHT
    write_light(place)
    place.settle()
    write_night(place.incoming, lights=0)
    place.settle()
    assert place.state(LIGHT)[0] == "provisional"
    place.flow = Flow(place.settings, place.catalogue, place.watcher, place.executor, place.telemetry, drain=True)
    place.settle()
    assert place.state(LIGHT) == ("done", "reduced")


# --- hardly nearer ----------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(tmp_path):
    with observatory(tmp_path, reduction={"nearer_h": 1.0, "closer_c": 1.0}) as place:
        yield place


def test_master_that_is_hardly_nearer_is_taken_when_the_night_is_over(patient):
    place = patient
    begin_night(place)
    former = place.product(LIGHT)
    write_biases(place, 20)
    place.settle()
    assert place.masters("bias")[0]["members"] == 6
    assert place.product(LIGHT) == former
    pass_time(place, (NOON - place.now).total_seconds() - 60)
    assert place.product(LIGHT) == former
    pass_time(place, 60)
    assert place.product(LIGHT) != former
    assert place.used(LIGHT)["bias"]["path"] == place.masters("bias")[0]["path"]
    assert "hardly nearer" in products(place)[0]["again"]


def test_exact_dark_ends_the_delay(patient):
    place = patient
    begin_night(place)
    write_biases(place, 20)
    place.settle()
    assert len(products(place)) == 1
    write_exact_darks(place)
    place.settle()
    assert place.used(LIGHT)["dark"]["how"] == "exact"
    assert "exact instead of scaled down" in products(place)[0]["again"]


def test_master_that_is_nearer_by_more_is_taken_at_once(patient):
    place = patient
    begin_night(place)
    write_biases(place, 20, hours=21.9)
    place.settle()
    assert len(products(place)) == 2
    assert "nearer in time by" in products(place)[0]["again"]


def test_rejected_member_ends_the_delay(patient):
    place = patient
    begin_night(place)
    write_biases(place, 20)
    place.settle()
    assert len(products(place)) == 1
    name = min(row["path"] for row in place.frames(kind="bias"))
    place.command(command="reject", names=[name], reason="lights on")
    place.settle()
    assert len(products(place)) == 2
    assert "holds a frame that is kept out" in products(place)[0]["again"]


def test_frame_that_is_later_than_the_clock_is_not_put_off(patient):
    place = patient
    begin_night(place)
    place.now = AT_NIGHT - timedelta(hours=2)
    write_biases(place, 20)
    place.settle()
    assert len(products(place)) == 2


# --- the end is the same ----------------------------------------------------------------------------------------------


def test_limits_change_the_way_but_not_the_end(tmp_path):
    results = []
    for name, limits in (("free", {"nearer_h": 0.0}), ("limited", {"again_s": AGAIN_S, "nearer_h": 5.0})):
        with observatory(tmp_path / name, reduction=limits) as place:
            begin_night(place)
            for index, hours in ((20, 18.1), (30, 21.0)):
                write_biases(place, index, hours=hours)
                place.settle()
            write_exact_darks(place)
            place.settle()
            pass_time(place, (NOON - place.now).total_seconds() + AGAIN_S)
            results.append((place.result(), len(products(place))))
    assert results[0][0] == results[1][0]
    assert results[1][1] <= results[0][1]


# --- what is told -----------------------------------------------------------------------------------------------------


def test_reason_stands_with_the_product_and_in_the_events(patient):
    place = patient
    begin_night(place)
    assert products(place)[0]["again"] == ""
    assert "an exact dark" in products(place)[0]["better_possible"]
    write_exact_darks(place)
    place.settle()
    newest = products(place)[0]
    assert "an exact dark" not in newest["better_possible"]
    (event,) = [row for row in place.catalogue.events() if row["event"] == "reduced_again"]
    assert (event["subject"], event["detail"]) == (LIGHT, newest["again"])


def test_reason_is_no_part_of_the_bytes(patient):
    place = patient
    begin_night(place)
    write_exact_darks(place)
    place.settle()
    assert "instead of" not in str(header(place.product(LIGHT)))
    assert place.now - AT_NIGHT < timedelta(hours=1)
