"""What a person reads: why a frame waits, and why a master was chosen or rejected."""

from __future__ import annotations

import json

from ingestd.records import Kind
from ingestd.rules import matching
from ingestd.settings import Camera, Settings
from tests.rules.builders import configuration, frame, master

CAMERA = Camera("main")
SETTINGS = Settings(camera=(CAMERA,))


def choose(subject, **masters):
    by_kind = {Kind[name.upper()]: found for name, found in masters.items()}
    return matching.calibration_for(subject, by_kind, SETTINGS, CAMERA)


def darks(*temperatures):
    return [master(Kind.DARK, f"dark {temp}", ccd_temp_c=temp) for temp in temperatures]


def test_wait_names_the_nearest_its_distance_the_tolerance_and_the_setting():
    found = choose(frame(), dark=darks(-12.4, -15.0, 0.0))
    assert found.dark.reason == (
        "needs a dark of 300 s at -10.0 C. Nearest of 3: 300 s at -12.4 C (2024-03-09), 2.4 C away, tolerance 0.5 C. "
        "Take darks, or raise matching.dark.max_delta_temp_c."
    )


def test_wait_without_any_master_says_what_to_take():
    assert choose(frame()).dark.reason == (
        "needs a dark of 300 s at -10.0 C. No master dark of this configuration within 450 d. "
        "Take darks, if there are fewer than 3 (masters.dark.minimum)."
    )


def test_wait_for_an_expired_bias_names_its_age_and_validity():
    found = choose(frame(), bias=[master(Kind.BIAS, age_d=100)])
    assert found.bias.reason == (
        "needs a bias at -10.0 C. Nearest of 1: -10.0 C (2023-11-30), too old: 100.0 d away in time, valid 90 d. "
        "Take biases, or raise masters.bias.valid_d."
    )


def test_wait_for_a_flat_names_the_filters():
    found = choose(frame(filter_name="Ha"), flat=[master(Kind.FLAT)])
    assert found.flat.reason == (
        "needs a flat in filter Ha. Nearest of 1: filter V (2024-03-09), filter V, not filter Ha. Take flats."
    )


def test_wait_for_a_longer_dark_names_the_factor_and_its_limit():
    found = choose(frame(), bias=[master(Kind.BIAS)], dark=[master(Kind.DARK, exposure_s=60.0)])
    assert found.dark.reason == (
        "needs a dark of 300 s at -10.0 C. Nearest of 1: 60 s at -10.0 C (2024-03-09), to be scaled by 5, limit 2. "
        "Take darks, or raise matching.dark.max_scale_up."
    )


def test_wait_of_a_cmos_camera_names_the_card_and_the_policy():
    cmos = configuration(gain_setting=100.0)
    subject = frame(configuration=cmos, sources=(("gain_setting", "GAIN"),))
    found = choose(subject, dark=[master(Kind.DARK, exposure_s=600.0, configuration=cmos.key())])
    assert found.dark.reason == (
        "needs a dark of 300 s at -10.0 C. Nearest of 1: 600 s at -10.0 C (2024-03-09), not 300 s, and darks are not "
        "scaled: gain setting 100 (GAIN) is that of a CMOS driver. "
        'Take darks, or set camera.dark_policy = "scalable" if its dark current is linear.'
    )


def test_wait_for_a_temperature_names_the_keyword_setting():
    found = choose(frame(ccd_temp_c=None), dark=darks(-10.0))
    assert found.dark.reason == (
        "needs a dark of 300 s without a temperature. Nearest of 1: 300 s at -10.0 C (2024-03-09), "
        "-10.0 C cannot be compared with an unknown temperature. "
        "Take darks, or name the temperature keyword in camera.keywords.ccd_temp."
    )


def test_nearest_is_what_misses_least():
    # one miss of 2.4 C is nearer than one of 5 C, and than a good temperature with two other misses
    short_and_old = master(Kind.DARK, "short", exposure_s=10.0, age_d=200)
    found = choose(frame(), bias=[master(Kind.BIAS)], dark=[short_and_old, *darks(-15.0, -12.4)])
    assert [it.delta_temp_c for it in found.dark.candidates] == [2.4, 5.0, 0.0]


def test_distance_just_beyond_the_tolerance_is_told_with_enough_digits():
    assert "0.504 C away, tolerance 0.5 C" in choose(frame(), dark=darks(-10.504)).dark.reason


def test_chosen_master_is_the_first_candidate_with_its_numbers():
    found = choose(frame(), dark=[master(Kind.DARK, ccd_temp_c=-10.2, age_d=0.5)])
    (candidate,) = found.dark.candidates
    assert candidate.fits
    assert candidate.reason == (
        "300 s at -10.2 C (2024-03-09): exact exposure, 0.2 C away, tolerance 0.5 C, 12.0 h away in time, valid 180 d, "
        "green, 10 members"
    )
    assert (candidate.delta_temp_c, candidate.exposure_ratio, candidate.age_h) == (0.2, 1.0, 12.0)


def test_record_keeps_the_ten_best_candidates():
    found = choose(frame(), dark=[master(Kind.DARK, f"d{i}", age_d=i) for i in range(30)])
    assert [it.age_h for it in found.dark.candidates] == [24.0 * i for i in range(10)]


def explained(found, **more):
    record = matching.with_named_fields(json.loads(json.dumps(matching.explain_record(found), allow_nan=False)))
    return matching.explain_lines(record, **more)


def test_explanation_shows_choices_candidates_and_the_fields_of_the_best():
    found = choose(frame(), dark=darks(-10.0, -20.0), flat=[])
    dark = found.dark.master.master_id[:8]
    lines = explained(found)
    assert lines[:2] == [
        "  master bias    not needed: the exact dark carries it",
        "  master dark    match: exact: masters/main/dark/dark -10.0.fits",
    ]
    assert lines[2].startswith(f"     1. fits {dark} 300 s at -10.0 C (2024-03-09): exact exposure")
    now = "2024-03-10T03:00:00"
    assert lines[3:6] == [
        "        ok ccd_temp_c    frame -10.0 C, master -10.0 C, difference 0 C, tolerance 0.5 C",
        "        ok exposure_s    frame 300 s, master 300 s, difference 0 s, tolerance 3 s",
        f"        ok obs_start     frame {now}, master {now}, difference 0 h, tolerance 4320 h",
    ]
    assert lines[6].startswith("     2. no   ")
    assert lines[6].endswith("300 s at -20.0 C (2024-03-09): 10 C away, tolerance 0.5 C")
    assert lines[7].startswith("  master flat    wait: needs a flat in filter V.")


def test_explanation_shows_the_fields_of_all_candidates_if_asked():
    lines = explained(choose(frame(), dark=darks(-10.0, -20.0), flat=[]), every_field=True)
    assert "        NO ccd_temp_c    frame -10.0 C, master -20.0 C, difference 10 C, tolerance 0.5 C" in lines


def test_explanation_of_a_frame_without_a_time_says_what_is_missing():
    bare = frame(exposure_s=None, ccd_temp_c=None, filter_name=None, obs_start=None, night=None)
    assert explained(choose(bare))[0].startswith("  master bias    wait: needs an observation time")


def test_explanation_is_json():
    found = choose(frame(), dark=[master(Kind.DARK)], flat=[master(Kind.FLAT, filter_name="B")])
    record = json.loads(json.dumps(matching.explain_record(found), allow_nan=False))
    assert {kind: entry["choice"] for kind, entry in record.items()} == {
        "bias": "not_needed",
        "dark": "match",
        "flat": "wait",
    }
    assert record["dark"]["sha256"] == found.dark.master.sha256
    assert record["flat"]["candidates"][0]["fits"] is False
