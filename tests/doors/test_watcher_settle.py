"""The settle rule, on stamps and times made up here: 1 s, 0.2 s after the writer closed, 5 s where files are polled."""

import math

import pytest

from ingestd.doors.watcher.settle import Settling
from ingestd.records import FileStamp
from ingestd.settings import Arrival

EMPTY = FileStamp(0, 10, 10, 7)
HALF = FileStamp(100, 20, 20, 7)
FULL = FileStamp(200, 30, 30, 7)
PATH = "/incoming/a.fits"


@pytest.fixture
def settling():
    return Settling(Arrival(settle_s=1.0, settle_closed_s=0.2, settle_polled_s=5.0, give_up_s=100.0))


def look(settling, now, stamp):
    """Answer the looks that are due at once; return which paths were asked for."""
    paths = settling.due(now, 100)
    for path in paths:
        settling.looked(path, stamp, now, now)
    return paths


def handed(settling):
    return [file.path for file in settling.hand_out(100)]


def test_file_settles_after_one_quiet_second(settling):
    settling.found(PATH, FULL, 0.0, 0.0, polled=False)
    assert settling.next_due() == 1.0
    assert look(settling, 0.99, FULL) == []
    assert handed(settling) == []
    look(settling, 1.0, FULL)
    [file] = settling.hand_out(100)
    assert (file.stamp, file.how, file.quiet_s, file.settle_s, file.gave_up) == (FULL, "scan", 1.0, 1.0, False)
    assert settling.news() == ((), ())


def test_growing_file_starts_anew_and_is_reported_once(settling):
    settling.found(PATH, HALF, 0.0, 0.0, polled=False)
    look(settling, 1.0, FULL)
    [waiting], dropped = settling.news()
    assert (waiting.path, waiting.reason, waiting.next_look) == (PATH, "growing", 2.0)
    assert dropped == ()
    look(settling, 2.0, FileStamp(300, 40, 40, 7))
    assert settling.news() == ((), ())
    look(settling, 3.0, FileStamp(300, 40, 40, 7))
    assert handed(settling) == [PATH]


def test_closed_file_settles_in_a_fifth_of_a_second(settling):
    settling.noticed(PATH, 0.0, polled=False, ended=False)
    look(settling, 0.0, HALF)
    settling.noticed(PATH, 0.5, polled=False, ended=True)
    look(settling, 0.5, FULL)
    look(settling, 0.7, FULL)
    [file] = settling.hand_out(100)
    assert (file.how, file.settle_s) == ("event", 0.2)


def test_file_that_grows_after_its_close_gets_the_long_time(settling):
    settling.noticed(PATH, 0.0, polled=False, ended=True)
    look(settling, 0.0, HALF)
    look(settling, 0.2, FULL)
    look(settling, 0.5, FULL)
    assert handed(settling) == []
    look(settling, 1.2, FULL)
    assert handed(settling) == [PATH]


def test_polled_file_gets_five_seconds_even_after_a_close(settling):
    settling.noticed(PATH, 0.0, polled=True, ended=True)
    look(settling, 0.0, FULL)
    assert look(settling, 4.9, FULL) == []
    look(settling, 5.0, FULL)
    assert handed(settling) == [PATH]


def test_slow_answer_does_not_count_as_quiet_time(settling):
    # First seen when its answer came (t = 10); asked again before that plus a second: not yet settled.
    settling.found(PATH, FULL, 0.0, 10.0, polled=False)
    settling.looked(PATH, FULL, 10.5, 30.0)
    assert handed(settling) == []
    settling.looked(PATH, FULL, 11.0, 31.0)
    assert handed(settling) == [PATH]


def test_empty_file_waits_and_is_handed_out_when_given_up(settling):
    settling.noticed(PATH, 0.0, polled=False, ended=True)
    look(settling, 0.0, EMPTY)
    look(settling, 0.2, EMPTY)
    [waiting], _ = settling.news()
    assert waiting.reason == "growing"
    now = 0.2
    while (due := settling.next_due()) < 100.0:
        assert due > now
        now = due
        look(settling, now, EMPTY)
        assert handed(settling) == []
    look(settling, 100.0, EMPTY)
    [file] = settling.hand_out(100)
    assert file.gave_up


def test_empty_file_that_is_written_settles_at_once(settling):
    # The capture program creates and closes an empty file before it writes: two closes.
    settling.noticed(PATH, 0.0, polled=False, ended=True)
    look(settling, 0.0, EMPTY)
    look(settling, 0.2, EMPTY)
    settling.noticed(PATH, 0.3, polled=False, ended=True)
    look(settling, 0.3, FULL)
    look(settling, 0.5, FULL)
    assert handed(settling) == [PATH]


def test_file_not_ready_comes_back_with_doubling_pauses_until_given_up(settling):
    settling.found(PATH, FULL, 0.0, 0.0, polled=False)
    look(settling, 1.0, FULL)
    now, pauses = 1.0, []
    while True:
        [file] = settling.hand_out(100)
        if file.gave_up:
            break
        settling.not_ready(PATH, now, "incomplete", None, polled=False)
        pauses.append(settling.next_due() - now)
        now = settling.next_due()
        look(settling, now, FULL)
    # 1 s doubled at each attempt; the last is cut short at the 100 s after which nobody is expected to write on.
    assert pauses == [2.0, 4.0, 8.0, 16.0, 32.0, 37.0]
    assert now == 100.0


def test_pause_asked_for_is_kept(settling):
    settling.found(PATH, FULL, 0.0, 0.0, polled=False)
    look(settling, 1.0, FULL)
    handed(settling)
    settling.not_ready(PATH, 1.0, "no_type", 2.0, polled=False)
    assert settling.next_due() == 3.0
    look(settling, 3.0, FULL)
    [file] = settling.hand_out(100)
    assert file.quiet_s == 3.0


def test_change_resets_the_back_off(settling):
    settling.found(PATH, HALF, 0.0, 0.0, polled=False)
    for now in (1.0, 3.0):
        look(settling, now, HALF)
        handed(settling)
        settling.not_ready(PATH, now, "incomplete", None, polled=False)
    assert settling.next_due() == 7.0
    settling.found(PATH, FULL, 4.0, 4.0, polled=False)
    look(settling, 5.0, FULL)
    assert handed(settling) == [PATH]


def test_event_while_the_caller_has_the_file_is_not_lost(settling):
    settling.found(PATH, HALF, 0.0, 0.0, polled=False)
    look(settling, 1.0, HALF)
    assert handed(settling) == [PATH]
    settling.noticed(PATH, 1.5, polled=False, ended=True)
    settling.taken(PATH)
    assert look(settling, 2.0, FULL) == [PATH]
    look(settling, 3.0, FULL)
    assert handed(settling) == [PATH]


def test_change_between_settling_and_handing_out_is_looked_at_again(settling):
    settling.found(PATH, HALF, 0.0, 0.0, polled=False)
    look(settling, 1.0, HALF)
    settling.found(PATH, FULL, 1.1, 1.1, polled=False)
    assert handed(settling) == []
    look(settling, 1.2, FULL)
    look(settling, 2.2, FULL)
    assert handed(settling) == [PATH]


def test_taken_file_is_no_longer_observed(settling):
    settling.found(PATH, FULL, 0.0, 0.0, polled=False)
    look(settling, 1.0, FULL)
    handed(settling)
    settling.taken(PATH)
    assert len(settling) == 0
    assert settling.next_due() == math.inf


def test_vanished_file_is_dropped_and_reported_only_if_it_waited(settling):
    settling.found("/incoming/b.fits", FULL, 0.0, 0.0, polled=False)
    settling.found(PATH, HALF, 0.0, 0.0, polled=False)
    settling.looked(PATH, FULL, 1.0, 1.0)
    for path in settling.due(2.0, 100):
        settling.looked(path, None, 2.0, 2.0)
    waiting, dropped = settling.news()
    assert waiting == ()
    assert dropped == (PATH,)
    assert len(settling) == 0


def test_unreadable_file_is_retried_and_reported(settling):
    settling.noticed(PATH, 0.0, polled=False, ended=True)
    assert settling.due(0.0, 100) == [PATH]
    settling.unreadable(PATH, 0.0)
    [waiting], _ = settling.news()
    assert waiting.reason == "unreadable"
    assert settling.next_due() == 0.4  # 0.2 s doubled once


def test_files_that_came_by_event_are_handed_out_first(settling):
    for number in range(5):
        settling.found(f"/incoming/old{number}.fits", FULL, 0.0, 0.0, polled=False)
    settling.noticed(PATH, 0.0, polled=False, ended=False)
    look(settling, 0.0, FULL)
    look(settling, 1.0, FULL)
    first = settling.hand_out(2)
    assert [file.path for file in first] == [PATH, "/incoming/old0.fits"]
    assert settling.backlog == 4


def test_look_without_an_answer_is_asked_for_again(settling):
    settling.noticed(PATH, 0.0, polled=False, ended=False)
    assert settling.due(0.0, 100) == [PATH]
    assert settling.due(50.0, 100) == []
    settling.unanswered(60.0)
    assert settling.due(60.0, 100) == [PATH]
