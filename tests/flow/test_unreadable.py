"""What cannot be read is told: once in the log, and by the status as long as it lasts."""

from ingestd.records import Kind
from tests.doors.watching import unreadable
from tests.flow.observatory import observatory, write_night, write_shot

QUIET_S = 150.0
"""Longer than two scans and the longest pause between two looks at a file."""


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_directory_is_told_once_and_taken_in_when_it_can_be_read(tmp_path, caplog):
    with observatory(tmp_path) as place:
        private = place.incoming / "private"
        private.mkdir()
        write_night(private, lights=0)
        with unreadable(private):
            place.run(QUIET_S)
        told = "directory cannot be read: Permission denied"
        (warning,) = warnings(caplog)
        assert f"{private}': {told}. Let the user of ingestd read it" in warning
        assert place.catalogue.status()["unreadable"] == [{"path": str(private), "detail": told}]
        place.run(QUIET_S)
        assert place.catalogue.status()["unreadable"] == []
        assert len(place.frames()) == len(list(private.iterdir()))


def test_file_is_told_once_apart_from_what_is_incomplete(tmp_path, caplog):
    with observatory(tmp_path) as place:
        secret = place.incoming / "secret.fits"
        write_shot(place.incoming, Kind.BIAS, 1, exposure_s=0.0, hours=18.0, name=secret.name)
        (place.incoming / "half.fits").write_bytes(b"SIMPLE  =                    T")
        with unreadable(secret):
            place.run(30.0)  # less than arrival.give_up_s
        status = place.catalogue.status()
        assert status["unreadable"] == [{"path": str(secret), "detail": "cannot be opened: Permission denied"}]
        assert status["arrivals"] == 2
        (warning,) = warnings(caplog)
        assert secret.name in warning


def test_what_was_arriving_at_the_last_run_and_is_gone_is_forgotten(tmp_path):
    with observatory(tmp_path) as place:
        half = place.incoming / "half.fits"
        half.write_bytes(b"SIMPLE  =                    T")
        place.run(10.0)
        assert place.catalogue.status()["arrivals"] == 1
    half.unlink()
    with observatory(tmp_path) as place:
        place.run(10.0)
        assert place.catalogue.status()["arrivals"] == 0
