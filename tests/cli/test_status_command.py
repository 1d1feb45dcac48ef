"""``ingestd status``: the newest event names what it is about."""

from tests.scanned import Scanned


def test_the_newest_event_names_its_subject_also_where_no_reason_was_given(tmp_path):
    place = Scanned(tmp_path)
    bias = place.night()[0]
    place.scan()
    place.output("reject", bias.name, "--reason", "shutter open")
    place.output("restore", bias.name)
    (line,) = (it for it in place.output("status").splitlines() if it.startswith("Event:"))
    assert line.endswith(f" restored: {bias.name}")


def test_a_refusal_sets_the_reason_apart_from_its_detail(tmp_path):
    place = Scanned(tmp_path)
    place.incoming.mkdir()
    (place.incoming / "junk.fits").write_text("no FITS\n", "utf-8")
    place.scan()
    result = place.run("accept", "junk.fits")
    assert "'junk.fits' takes no part in anything: not_fits: it begins with" in f"{result.output}{result.exception!r}"
