"""config.toml -> frozen sections: every value is checked; an error names the key path, the value and what is allowed.

A section is a dataclass, a key is a field; the range stands beside the field. Relative paths are taken from the
directory of the file. The values here are the defaults of ``config.toml``, which a test holds against this package.
``sections`` (the observatory), ``association`` (frames to masters to frames) and ``cameras`` declare, ``whole`` puts
them together, ``checking`` checks several keys at once, ``reading`` reads.
"""

from ingestd.settings.association import (
    ORDER,
    BiasMatching,
    DarkMatching,
    FlatMatching,
    KindMatching,
    MasterRule,
    MasterRules,
    Masters,
    Matching,
    Rules,
)
from ingestd.settings.cameras import Amplifier, Camera, Keywords
from ingestd.settings.grading import Grading
from ingestd.settings.reading import load_settings, parse_settings, plain_path
from ingestd.settings.sections import (
    Arrival,
    Epochs,
    Limits,
    Log,
    Paths,
    Reduction,
    Retention,
    Screening,
    Site,
    Web,
    Workers,
)
from ingestd.settings.whole import Settings

__all__ = [
    "ORDER",
    "Amplifier",
    "Arrival",
    "BiasMatching",
    "Camera",
    "DarkMatching",
    "Epochs",
    "FlatMatching",
    "Grading",
    "Keywords",
    "KindMatching",
    "Limits",
    "Log",
    "MasterRule",
    "MasterRules",
    "Masters",
    "Matching",
    "Paths",
    "Reduction",
    "Retention",
    "Rules",
    "Screening",
    "Settings",
    "Site",
    "Web",
    "Workers",
    "load_settings",
    "parse_settings",
    "plain_path",
]
