"""Which jobs are due now: a function of what the catalogue says, the settings and the time.

Facts become stale when their inputs change (a frame came, a master changed); planning looks at what is stale, and only
at that: calibration frames that were never measured, nights whose masters may differ, masters whose previous night or
bias may be another now, science frames whose best masters may differ. A look ends with a job, with a wait, or with the
finding that all is as it should be. Masters come before the frames that need them; a burst of frames is combined when
it has been quiet, or at once when a science frame needs it. Raw files that go take nothing away.

``planner`` is one look, ``nights`` looks at masters to be built, ``standing`` at masters to be graded, ``lights`` at
science frames, ``again`` at those that have a product; ``desk`` hands out the jobs, ``plan`` is what was found,
``view`` what is asked of the catalogue.
"""

from ingestd.rules.planning.desk import SUSPICIOUS_DEATHS
from ingestd.rules.planning.plan import Held, Kept, Plan, SettledNight
from ingestd.rules.planning.planner import Planner
from ingestd.rules.planning.view import View

__all__ = ["SUSPICIOUS_DEATHS", "Held", "Kept", "Plan", "Planner", "SettledNight", "View"]
