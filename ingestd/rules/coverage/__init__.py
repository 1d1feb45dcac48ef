"""What science used lately against the masters that are valid: covered, expiring, missing, and what to take tonight.

A combination is what its frames share: camera, configuration, temperature, exposure, filter. "Lately" counts back from
the newest science frame, so that neither a cloudy month nor an archive empties the list; "valid" is asked for a frame
that would be taken now. Whether a master serves, the rules of matching say, here as for any frame.

``values`` holds what is said, ``combining`` finds the combinations, ``judging`` how they stand, ``advising`` what to
take.
"""

from __future__ import annotations

from datetime import datetime

from ingestd.rules import groups
from ingestd.rules.coverage.advising import Advice
from ingestd.rules.coverage.combining import combinations
from ingestd.rules.coverage.judging import Judge
from ingestd.rules.coverage.values import EXPIRING_D, NIGHTS, Combination, Cover, Coverage, Need, Status, View
from ingestd.settings import Settings

__all__ = ["EXPIRING_D", "NIGHTS", "Combination", "Cover", "Coverage", "Need", "Status", "View", "survey"]


def survey(
    view: View, settings: Settings, now: datetime, *, nights: int = NIGHTS, expiring_d: float = EXPIRING_D
) -> Coverage:
    """Return which calibrations of the combinations that science used are covered, expiring or missing.

    Parameters
    ----------
    view : View
        Reads of the catalogue.
    settings : Settings
        Which steps a camera requires, tolerances, validity, minimum numbers.
    now : datetime
        When the next frame would be taken.
    nights : int
        How many nights count, back from that of the newest science frame.
    expiring_d : float, day
        For how long a master must still serve.

    Returns
    -------
    Coverage
        Empty where there is no science frame yet.
    """
    last_night = view.newest_science_night()
    if last_night is None:
        return Coverage(now, None, None, expiring_d, (), (), ())
    first_night = groups.night_before(last_night, nights - 1)
    found = combinations(view.science_uses(first_night, last_night), settings)
    judge = Judge(view, settings, now, expiring_d)
    judged = [(subject, cover) for subject in judge.subjects(found) for cover in judge.covers(subject)]
    needs, covers = Advice(view, settings, judge).of(judged)
    return Coverage(now, first_night, last_night, expiring_d, found, covers, needs)
