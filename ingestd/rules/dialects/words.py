"""The words of the field: what programs and people call a frame, in type cards and in file and directory names.

A label is the finer word that a record carries; ``KIND_OF`` gives its kind. A word of a type card is compared in upper
case without anything but letters and without the words FRAME, FIELD, IMAGE (FACTS: canonical words).
"""

from __future__ import annotations

from ingestd.records import Kind


def _words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


KIND_OF: dict[str, Kind] = {
    "bias": Kind.BIAS,
    "dark": Kind.DARK,
    "dark-flat": Kind.DARK,
    "flat": Kind.FLAT,
    "skyflat": Kind.FLAT,
    "domeflat": Kind.FLAT,
    "light": Kind.LIGHT,
    "standard": Kind.LIGHT,
    "snapshot": Kind.LIGHT,
    "unknown": Kind.UNKNOWN,
}
"""Kind by label; a label that is not listed is of kind other."""


def kind_of(label: str) -> Kind:
    """Return the kind of a label."""
    return KIND_OF.get(label, Kind.OTHER)


TYPE_FILLERS = ("FRAMES", "FRAME", "FIELDS", "FIELD", "IMAGES", "IMAGE", "EXPOSURES", "PICTURE")
"""Words that say nothing in a type card and are taken out before the word is looked up."""

_TYPE_WORDS = {
    "bias": "BIAS BIASES ZERO ZEROS ZEROES OFFSET OFFSETS BIAIS BIASREAD BIASSTRUCTURE",
    "dark": "DARK DARKS DARKCURRENT NOIR DUNKEL DUNKELBILD SHUTTERCLOSED",
    "dark-flat": "DARKFLAT DARKFLATS FLATDARK FLATDARKS DARKFORFLAT DARKFORFLATS DARKSFORFLATS",
    "flat": "FLAT FLATS PLU LFLAT LINEARFLAT AUTOFLAT HELLBILD FF",
    "skyflat": (
        "SKYFLAT SKYFLATS FLATSKY TWILIGHT TWILIGHTS TWILIGHTFLAT TWILIGHTSKYFLAT TWIFLAT TWFLAT SFLAT DUSKFLAT "
        "DAWNFLAT FLATTWILIGHT EVENINGFLAT MORNINGFLAT FLATTWI TFLAT DUSK DAWN EARTHFLAT"
    ),
    "domeflat": (
        "DOMEFLAT DOMEFLATS FLATDOME DFLAT DMFLAT LAMPFLAT FLATLAMP INTFLAT INTERNALFLAT SCREENFLAT FLATSCREEN "
        "PANELFLAT FLATPANEL LEDFLAT QUARTZ QUARTZLAMP PIXELFLAT FLATLED PIXFLAT TUNGSTEN HALOGEN SLITFLAT"
    ),
    "light": (
        "LIGHT LIGHTS OBJECT OBJECTS OBJ EXPOSE SCIENCE SCI TARGET EXT EXTERNAL STAR STARS ASTRO BRUTE DEEPSKY "
        "SCIENCEOBJECT OBJECTASTROMETRY LUMINANCE"
    ),
    "standard": "STANDARD STANDARDS STD STDSTAR STANDARDSTAR PHOTSTD STDPHOT",
    "snapshot": "SNAPSHOT SNAP",
    "sky": "SKY GLANCE BLANKSKY OBJECTSKY",
    "focus": "FOCUS FOCUSING FOCUSSING AUTOFOCUS FOC FOCUSRUN FOCUSTEST FOCUSLOOP",
    "guiding": "GUIDING GUIDE GUIDER AUTOGUIDE AUTOGUIDER GUIDESTAR AGCAM",
    "acquisition": (
        "ACQUISITION ACQUISITIONS ACQ ACQUIRE ACQUIS SLITVIEW SLITVIEWER POINTING CENTERING CENTRING ALIGN ALIGNMENT "
        "PLATESOLVE SOLVE THROUGHSLIT"
    ),
    "arc": (
        "ARC ARCS COMP COMPS COMPARISON COMPLAMP COMPARISONLAMP LAMP LAMPS ARCLAMP LINE WAVE WAVELAMP WAVECAL "
        "WAVELENGTH THAR NEON ARGON CALLAMP SPECTRALLAMP LAMPWAVE WAVELINE"
    ),
    "flat-off": "FLATOFF LAMPOFF DOMEFLATOFF FLATLAMPOFF LAMPFLATOFF",
    "bpm": "BPM BADPIXEL BADPIXELS BADPIXELMASK MASK PIXELMASK",
    "colour": "TRICOLOR TRICOLOUR COLOR COLOUR RGB",
    "stack": "STACK STACKED COADD COADDED COMBINED MOSAICED",
    "test": "TEST EXPERIMENTAL ENGINEERING ENGTEST TECHNICAL PREVIEW VIDEO MOVIE",
    "ramp": "RAMP PTC LINEARITY",
    "fringe": "FRINGE FRINGES",
    "master": (
        "SUPERBIAS SUPERDARK SUPERFLAT MBIAS MDARK MFLAT MZERO BIASMASTER DARKMASTER FLATMASTER BIASM DARKM FLATM "
        "COMBINEDBIAS COMBINEDDARK COMBINEDFLAT NORMFLAT"
    ),
}
TYPE_WORDS: dict[str, str] = {word: label for label, words in _TYPE_WORDS.items() for word in words.split()}
"""Label by canonical word of a type card."""

EMPTY_TYPES = _words(
    "NA NONE UNKNOWN UNDEFINED UNSPECIFIED NULL NORMAL RAW IMAGING DEFAULT OTHER SPECTROSCOPIC SPECTROSCOPY PHOTOMETRY "
    "PHOTOMETRIC EXPOSURE"
) | {""}
"""Canonical words of a type card that say nothing: the card counts as missing."""

TYPE_CODES: dict[int, str] = {1: "light", 2: "bias", 3: "dark", 4: "flat", 5: "light"}
"""Picture type of CCDSoft and TheSkyX; 5 is a light that was dark-subtracted on arrival (SBIG auto-dark)."""

DARK_SUBTRACTED_CODE = 5

CLASS_WORDS: dict[str, str] = {
    "ACQUISITION": "acquisition",
    "ACQ": "acquisition",
    "ACQCAL": "acquisition",
    "ACQUIRE": "acquisition",
    "TEST": "test",
    "TECHNICAL": "test",
    "ENGINEERING": "test",
    "FOCUS": "focus",
}
"""Words of a class card (ESO DPR CATG, Gemini OBSCLASS) that make a light something else."""

_NAME_WORDS = {
    "bias": "bias biases biasframe biasframes zero zeros zeroes biais",
    "dark": "dark darks darkframe darkframes darkcurrent",
    "dark-flat": "darkflat darkflats flatdark flatdarks",
    "flat": "flat flats flatframe flatframes flatfield flatfields autoflat autoflats",
    "skyflat": (
        "skyflat skyflats twilight twilights twiflat twiflats twilightflat twilightflats sflat tflat duskflat dawnflat"
    ),
    "domeflat": "domeflat domeflats dflat lampflat lampflats panelflat ledflat screenflat flatlamp",
    "light": "light lights lightframe lightframes",
    "master": (
        "master masters masterbias masterdark masterflat masterbiases masterdarks masterflats masterzero mbias mdark "
        "mflat superbias superdark superflat supersky masterdarkflat masterflatdark mdarkflat"
    ),
    "stack": "stacked stack integration coadd coadded",
}
NAME_WORDS: dict[str, str] = {word: label for label, words in _NAME_WORDS.items() for word in words.split()}
"""Label by lower-case word of a file or directory name."""

COMBINED_NAME_WORDS = frozenset({"combined", "median", "mean", "average", "avg", "med"})
"""Words that make a calibration named so a master; they say nothing of a light."""

CALIBRATED_NAME_WORDS = frozenset({"calibrated", "reduced", "processed", "debiased", "darksub", "darksubtracted"})
"""Words in a name of a frame that has been through a reduction already (iTelescope writes 'calibrated-...')."""

ARC_NAME_WORDS = _words(
    "arc arcs arclamp complamp comparison thar henear hene hgar hgne hgnear cuar cdhgne cuarhene neon "
    "argon krypton xenon wavecal wavelamp neonlamp"
)
"""Lamps in a name. Many programs have no word for an arc in the header and call it a light."""

SCIENCE_NAME_WORDS = frozenset({"sci", "science", "object", "target"})
"""Words of a science frame; they count only where no header speaks, for cameras and projects bear them too."""

TARGET_NAME_WORDS = frozenset({"sci", "science", "star", "stars", "obj", "object", "target", "std", "standard"})
"""Words in a name that speak against an arc: 'L2-star-neon-40' is a star taken in the neon setting."""

OTHER_NAME_WORDS: dict[str, str] = {
    "focus": "focus",
    "autofocus": "focus",
    "focusing": "focus",
    "guide": "guiding",
    "guider": "guiding",
    "guiding": "guiding",
    "acq": "acquisition",
    "acquisition": "acquisition",
    "pointing": "acquisition",
    "platesolve": "acquisition",
    "preview": "test",
    "allsky": "test",
    "bpm": "bpm",
    "badpixel": "bpm",
}
"""Words that name other frames; used only where no header and no calibration word speaks."""

NAME_FOLLOWERS: dict[str, frozenset[str]] = {
    "dark": _words(
        "lane lanes nebula nebulae neb cloud clouds matter star stars horse shark wolf side sky skies river tower "
        "doodad rift galaxy galaxies molecular globule hole energy dust filament filaments bay wing knight site"
    ),
    "flat": frozenset({"galaxy", "galaxies", "earth", "disk", "disc", "spectrum"}),
    "light": frozenset({"box", "panel", "bulb", "leak", "pollution", "echo", "curve", "curves", "house"}),
    "zero": frozenset({"point", "pointing", "order", "age", "gravity"}),
}
"""Words after which a calibration word is part of a name: the dark lane of M13, the Dark Shark nebula."""

CORRECTION_FOLLOWERS = frozenset(
    {"sub", "subtracted", "corr", "corrected", "removed", "applied", "fielded", "divided", "calibrated"}
)
"""Words after which a calibration word is a step that was done: 'M31-dark-subtracted'."""

TYPE_NEUTRALS = _words(
    "NORMAL SHORT LONG AUTO RAW CALIB CALIBRATION CAL DOME LAMP TYPE NIGHT DAY EVENING MORNING BIN CCD MODE READ SKY "
    "CURRENT DUMMY TELLURIC SEC SECS RED GREEN BLUE TWILIGHT INTERNAL LOW HIGH GAIN ASTROMETRY PHOT SPECTRUM PANEL FOR "
    "THE LED SCREEN OF"
)
"""Words that may stand beside the word of a type card without changing what it says."""

FOLDER_FILLERS = _words(
    "frames frame calib calibs calibration calibrations cal cals raw raws fits fit images image data files new set "
    "sets night nights and bin binning sec secs deg gain offset temp iso exp dawn dusk morning evening red green blue "
    "lum luminance halpha oiii sii clear dome sky lamp panel ccd cam camera autorun plan library lib jan feb mar apr "
    "may jun jul aug sep oct nov dec january february march april june july august september october november december"
)
"""Words that a folder of calibrations may carry beside its own; words of one or two letters need no mention."""
