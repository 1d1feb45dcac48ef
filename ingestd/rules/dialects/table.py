"""The dialects as data: how each program or observatory is recognised, and the cards in which it says what.

Sources: the table of header dialects of the field notes, SBFITSEXT 1.0, the ESO Data Interface Control Document, the
NOAO mosaic keyword dictionary, the documentation of the programs named, and real headers. Adding a camera is one entry
here or ``[camera.keywords]`` in the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

GainCard = Literal["setting", "e_per_adu", "ambiguous"]

SIGNATURE_CARDS = ("SWCREATE", "CREATOR", "PROGRAM", "SOFTWARE", "SWACQUIR", "ORIGIN", "ACQSOFT")
"""Cards in which a program writes its own name."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One program or observatory.

    Attributes
    ----------
    name : str
        As it stands in the record.
    programs : tuple of str
        Lower-case texts, one of which is part of a signature card.
    cards : tuple of (str, str)
        Cards that must all be there; the text, in lower case, must be part of the value ('' for any value).
    comments : tuple of str
        Lower-case texts, one of which is part of a COMMENT or of a comment that names a program.
    gain : str
        What the GAIN card means: a setting of the camera, electrons per ADU, or not declared.
    fields : mapping of str to tuple of str
        Keywords per field that come before the generic ones.
    """

    name: str
    programs: tuple[str, ...] = ()
    cards: tuple[tuple[str, str], ...] = ()
    comments: tuple[str, ...] = ()
    gain: GainCard = "ambiguous"
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


GENERIC: dict[str, tuple[str, ...]] = {
    "kind": (
        "IMAGETYP", "IMAGETYPE", "IMGTYPE", "IMTYPE", "KOAIMTYP", "FRAMETYP", "FRAMETYPE", "FRMTYPE", "OBSTYPE",
        "OBSTYP", "OBS-TYPE", "OBS_TYPE", "EXPTYPE", "EXPTYP", "EXP_TYPE", "DATA-TYP", "VIMTYPE", "IMAGE-TYP",
        "IMAGE_TYPE", "IMG-TYPE", "IMG_TYPE", "IMTYP", "CCDTYPE", "ESO DPR TYPE", "FLAVOR", "ICATG", "FRAME", "TYPE",
    ),
    "kind_code": ("PICTTYPE", "CCDSFPT"),
    "class": ("ESO DPR CATG", "OBSCLASS"),
    "exposure": (
        "EXPTIME", "EXPOSURE", "EXP", "EXP_TIME", "EXP-TIME", "EXPOSURETIME", "EXPOSURE_TIME", "ITIME", "INTTIME",
        "EXPT", "EXPOS", "EXP1TIME", "TEXPTIME", "TEXPOSE", "XPOSURE", "ELAPTIME", "ESO DET WIN1 DIT1", "ESO DET DIT",
        "EXPOINUS", "EXPMEAS", "EXPREQ", "DARKTIME",
    ),
    "ccd_temp": (
        "CCD-TEMP", "CCDTEMP", "CCD_TEMP", "CCDATEMP", "DET-TEMP", "DET_TEMP", "DETTEMP", "TEMPERAT", "CAMTEMP",
        "CAM-TEMP", "CCDTEMP1", "TEMPCCD", "T_CCDTV", "DETTEM", "DET-TMP", "DET-TMED", "SENSTEMP", "CHIPTEMP",
        "CCDTMP", "TCCD", "TEMPDET", "DETTEMP1", "ESO DET CHIP1 TEMP", "ESO INS DET1 TEMP", "TEMPERATURE",
    ),
    "set_temp": (
        "SET-TEMP", "SETTEMP", "SET_TEMP", "CCDSTEMP", "CCD-TSET", "CCD_SET", "TEMPSET", "CCDSET", "CCDTSET",
        "DET-TSET", "TARGTEMP", "SETPOINT", "CAMSTEMP", "TEMP-SET",
    ),
    "filter": (
        "FILTER", "FILTERID", "FILTNAME", "FILTNAM", "FILT", "FLTNAME", "FLTRNAME", "FILTERNM", "FILTER01", "INSFLNAM",
        "ESO INS FILT1 NAME", "ESO INS FILT NAME", "FILTNAM1", "FILTERS", "ACQFLTR", "WFFBAND", "IFILTER",
    ),
    "gain_setting": ("ISO", "ISOSPEED", "GAINRAW", "CAMGAIN", "LOG-GAIN", "GAINSET"),
    "gain_e_per_adu": ("EGAIN", "E-GAIN", "EPERADU", "EPERDN", "DET-GAIN", "ESO DET OUT1 CONAD", "ATODGAIN"),
    "read_noise_e": ("RDNOISE", "READNOIS", "ENOISE", "RON", "RNOISE", "DET-RON", "ESO DET OUT1 RON", "READNSE"),
    "offset": ("OFFSET", "BLKLEVEL", "GAINOFST", "BLACKLEV", "CAMOFFS", "CCDOFFST"),
    "readout_mode": (
        "READOUTM", "READMODE", "RDMODE", "READOUT", "SPEED", "RDSPEED", "CONFMODE", "DETMODE", "ROMODE", "READSPED",
        "READSPD", "CCDSPEED", "GAINMODE", "ESO DET READ CURNAME", "ESO DET READ MODE",
    ),
    "instrument": (
        "INSTRUME", "CAMERA", "CAMNAME", "CAMMODEL", "DETNAM", "DETNAME", "CAM-ID", "CAMID", "CAMERAID", "HEAD",
        "DETECTOR", "CAMSN", "SERNO", "SERIALNO", "CCDNAME",
    ),
    "obs_start": ("DATE-OBS", "DATE-BEG", "DATE_OBS", "DATEOBS", "OPENSHUT", "DATE-STR", "UTSHUT", "DATE-UTC"),
    "time": (
        "TIME-OBS", "TIME-BEG", "UT-STR", "UTSTART", "UTC-BEG", "UTC-OBS", "UTCSTART", "UT-START", "UTIME", "UT",
        "UTC", "TIME_OBS", "UTOBS", "UT-OBS", "EXPSTART", "TAIHMS",
    ),
    "mjd": ("MJD-BEG", "MJD-OBS", "MJD-STR", "MJD_OBS", "MJDATE", "MJD"),
    "jd": ("JD", "JD-OBS", "JD_OBS", "JD_UTC"),
    "object": ("OBJECT", "OBJNAME", "TARGNAME", "TARGET", "FIELD", "OBJECTNM"),
    "bayer": ("BAYERPAT", "COLORTYP", "CFAPAT", "BAYER", "CFA", "BAYRPAT"),
    "saturation": ("SATURATE", "SATLEVEL", "SATURATI", "DET-SATU", "DATAMAX", "MAXLIN"),
    "longitude": (
        "SITELONG", "LONG-OBS", "OBS-LONG", "LONGITUD", "GEOLON", "ESO TEL GEOLON", "SITELON", "OBSLONG", "LONGITUDE",
        "TELLONG",
    ),
    "detector": ("OPAMP", "DET-ID", "CCDNUM", "CHIPID", "CHIP", "AMPID", "DETID"),
    "orientation": ("ROWORDER", "FLIPSTAT"),
}  # fmt: skip
"""Keywords per field that are tried for every file, most trusted first."""

VAGUE_TYPE_CARDS = frozenset({"FRAME", "TYPE", "CCDTYPE", "FLAVOR", "ICATG", "VIMTYPE", "EXP_TYPE"})
"""Type keywords that others use for other things (FRAME = 4711): an unfamiliar word there says nothing."""

UNIT_SECONDS: dict[str, float] = {"EXPOINUS": 1e-6}
"""Exposure keywords whose unit is not the second."""

BINNING_PAIRS: tuple[tuple[str, str], ...] = (
    ("XBINNING", "YBINNING"),
    ("CCDXBIN", "CCDYBIN"),
    ("CCDBIN1", "CCDBIN2"),
    ("DET-BIN1", "DET-BIN2"),
    ("BIN-FCT1", "BIN-FCT2"),
    ("BINX", "BINY"),
    ("XBIN", "YBIN"),
    ("BIN_X", "BIN_Y"),
    ("HBIN", "VBIN"),
    ("BIN1", "BIN2"),
    ("BINAXIS1", "BINAXIS2"),
    ("COLBIN", "ROWBIN"),
    ("CAM-BINX", "CAM-BINY"),
    ("ESO DET WIN1 BINX", "ESO DET WIN1 BINY"),
    ("ESO DET BINX", "ESO DET BINY"),
)
BINNING_TEXTS = ("CCDSUM", "BINNING", "CCDBIN", "CCDBINNING", "BIN", "DETBIN", "BINMODE")
WINDOW_PAIRS: tuple[tuple[str, str, int], ...] = (
    ("XORGSUBF", "YORGSUBF", 0),
    ("CCDSUBFL", "CCDSUBFT", 0),
    ("FRAMEX", "FRAMEY", 0),
    ("SUBFRAMX", "SUBFRAMY", 0),
    ("PRD-MIN1", "PRD-MIN2", 1),
    ("ESO DET WIN1 STRX", "ESO DET WIN1 STRY", 1),
    ("X1", "Y1", 1),
)
"""Keywords of the window's origin and the number of its first pixel."""

DETECTOR_SECTIONS = ("CCDSEC", "DETSEC")
"""Keywords of the part of the detector that the image shows, unbinned pixels from 1."""

AMPLIFIER_CARDS: Mapping[str, tuple[str, ...]] = {
    "section": ("TSEC", "TRIMSEC", "DSEC", "DATASEC"),
    "overscan": ("BSEC", "BIASSEC", "OVRSEC"),
    "place": ("CSEC", "CCDSEC", "DETSEC"),
    "gain": ("GTGAIN", "GAIN", "EGAIN"),
    "noise": ("GTRON", "RDNOISE", "RDNOIS", "ENOISE", "RON"),
}
"""Keywords that end with the name of an amplifier, if several read one image.

IRAF quadformat (ASECyx, BSECyx, ..., CTIO and SOAR), the NOAO keyword dictionary (DATASECn, BIASSECn), CFHT and DECam
(A, B).
"""

AMPLIFIER_LISTS = ("AMPLIST", "READAMPS")
"""Keywords of the names of the amplifiers in use: '11 12 21 22'."""

AMPLIFIER_NAMES: tuple[tuple[str, ...], ...] = (
    tuple(str(number) for number in range(1, 33)),
    tuple("ABCDEFGH"),
    ("11", "12", "21", "22"),
)
"""Names that are looked for where no card lists them."""

AMPLIFIER_LIMITS = ("T_", "S_")
"""Beginnings of the keywords by which Subaru's cameras tell first and last pixel of each channel: T_EFMN11."""

BAYER_PATTERNS = frozenset({"RGGB", "BGGR", "GRBG", "GBRG"})

WEST_LONGITUDES = frozenset({"OBS-LONG"})
"""Longitude keywords that count positive to the west (NOAO); DECam writes so and says 'east' in the comment."""

LOCAL_TIME_CARDS = ("DATE-LOC", "TIME-LOC", "LOCTIME", "LT", "LTIME", "LOCAL", "DATE-LT", "LT-OBS", "LOCALTIM")
"""Local time is refused: without a zone it is ambiguous twice a year, and with a wrong one always."""

AUXILIARY_PLANES = frozenset(
    {"MASK", "UNCERT", "WEIGHT", "WEIGHTS", "WHT", "DQ", "ERR", "ERROR", "VAR", "VARIANCE", "BPM", "FLAGS", "SKY",
     "BACKGROUND", "BKG", "PSF", "CONTEXT", "CTX", "THUMBNAIL", "PREVIEW"}
)  # fmt: skip
"""Names of image extensions that are no exposure of their own."""

PROCESSED_PLANES = frozenset({"MASK", "UNCERT", "WEIGHT", "WHT", "DQ", "ERR", "VAR", "VARIANCE"})
"""Auxiliary planes with pixels that only a reduction writes."""

_SETTING_PROGRAMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("N.I.N.A.", ("n.i.n.a", "nighttime imaging")),
    ("SGPro", ("sequence generator",)),
    ("ASIAIR", ("asiair",)),
    ("ASIStudio", ("asiimg", "asicap", "asistudio", "asi studio", "asilive", "asideepstack")),
    ("APT", ("astro photography tool", "astrophotography tool")),
    ("CCDciel", ("ccdciel",)),
    ("FireCapture", ("firecapture",)),
    ("Voyager", ("voyager",)),
    ("Astroart", ("astroart",)),
    ("Nebulosity", ("nebulosity",)),
    ("BackyardEOS", ("backyard",)),
    ("EZCAP", ("ezcap",)),
    ("ToupSky", ("toupsky", "altaircapture", "altair")),
    ("oacapture", ("oacapture",)),
    ("PHD2", ("phd2", "phd guiding")),
    ("Prism", ("prism",)),
    ("AudeLA", ("audela",)),
    ("Celestron AstroFX", ("astrofx",)),
    ("Artemis", ("artemis",)),
    ("StellarMate", ("stellarmate",)),
    ("Stellina", ("vespera", "stellina", "singularity")),
    ("Unistellar", ("unistellar",)),
    ("ZWO", ("zwo",)),
)
"""Capture programs that only need to be named: SBFITSEXT cards, GAIN is the driver's setting."""

DIALECTS: tuple[Dialect, ...] = (
    Dialect("Seestar", programs=("seestar",), gain="setting"),
    Dialect("Dwarf", programs=("dwarf",), gain="setting", fields={"exposure": ("EXP", "EXPTIME")}),
    Dialect("SharpCap", programs=("sharpcap",), gain="setting", fields={"kind": ("IMAGETYP", "FRAMETYP")}),
    *(Dialect(name, programs=programs, gain="setting") for name, programs in _SETTING_PROGRAMS[:6]),
    Dialect("pyobs", programs=("pyobs",), cards=(("DET-TEMP", ""), ("DAY-OBS", "")), gain="ambiguous"),
    Dialect("POCS", programs=("pocs", "panoptes"), fields={"object": ("FIELD",), "instrument": ("CAM-ID", "INSTRUME")}),
    Dialect("CCDSoft", programs=("ccdsoft",), cards=(("CCDSFPT", ""),), comments=("ccdsoft",)),
    Dialect("CCDOps", programs=("ccdops", "winops", "sbig win"), comments=("ccdops",)),
    Dialect("TheSkyX", programs=("theskyx", "thesky64", "thesky x", "thesky"), comments=("theskyx", "thesky64")),
    Dialect("MaxIm DL", programs=("maxim",), comments=("maxim dl",)),
    *(Dialect(name, programs=programs, gain="setting") for name, programs in _SETTING_PROGRAMS[6:]),
    Dialect(
        "INDI",
        programs=("kstars", "ekos"),
        comments=("generated by indi",),
        gain="setting",
        fields={"kind": ("IMAGETYP", "FRAME")},
    ),
    Dialect("azcam", programs=("azcam",), comments=("azcam",), gain="e_per_adu"),
    Dialect(
        "LCO",
        cards=(("SITEID", ""), ("OBSTYPE", "")),
        gain="e_per_adu",
        fields={"kind": ("OBSTYPE",), "ccd_temp": ("CCDATEMP",), "set_temp": ("CCDSTEMP",)},
    ),
    Dialect(
        "RTS2",
        cards=(("TARSEL", ""), ("TARTYPE", "")),
        fields={"kind": ("IMAGETYP", "IMGTYPE"), "ccd_temp": ("CCD_TEMP",), "set_temp": ("CCD_SET",)},
    ),
    Dialect(
        "Andor Solis",
        cards=(("ACQMODE", ""), ("HEAD", "")),
        fields={"ccd_temp": ("TEMP",), "instrument": ("HEAD", "SERNO"), "readout_mode": ("READTIME", "PREAMP")},
    ),
    Dialect("DECam", cards=(("INSTRUME", "decam"),), gain="e_per_adu", fields={"kind": ("OBSTYPE",)}),
    Dialect(
        "Subaru",
        cards=(("DATA-TYP", ""), ("EXP-ID", "")),
        gain="e_per_adu",
        fields={"kind": ("DATA-TYP",), "time": ("UT-STR",), "ccd_temp": ("T_CCDTV", "DET-TMP")},
    ),
    Dialect(
        "CFHT",
        cards=(("TELESCOP", "cfht"),),
        gain="e_per_adu",
        fields={"kind": ("OBSTYPE", "EXPTYPE"), "ccd_temp": ("DETTEM",), "time": ("UTC-OBS", "UTIME")},
    ),
    Dialect("CFHT", cards=(("INSTRUME", "mega"), ("CCDNICK", "")), gain="e_per_adu"),
    Dialect(
        "Magellan",
        cards=(("ENOISE", ""), ("EGAIN", ""), ("EXPTYPE", "")),
        fields={"kind": ("EXPTYPE",), "ccd_temp": ("TEMPCCD", "CCDTEMP"), "readout_mode": ("SPEED",)},
    ),
    Dialect(
        "ESO",
        cards=(("ESO DPR TYPE", ""),),
        fields={"kind": ("ESO DPR TYPE",), "gain_e_per_adu": ("ESO DET OUT1 CONAD",)},
    ),
    Dialect(
        "Keck",
        cards=(("KOAIMTYP", ""),),
        gain="e_per_adu",
        fields={"kind": ("KOAIMTYP", "IMTYPE"), "exposure": ("ELAPTIME", "TTIME", "EXPTIME", "ITIME")},
    ),
    Dialect("Gemini", cards=(("OBSCLASS", ""), ("OBSTYPE", "")), gain="e_per_adu", fields={"kind": ("OBSTYPE",)}),
    Dialect(
        "HST",
        cards=(("TELESCOP", "hst"),),
        fields={"kind": ("IMAGETYP",), "object": ("TARGNAME",), "gain_e_per_adu": ("ATODGAIN", "ATODGNA", "CCDGAIN")},
    ),
    Dialect("SDSS", cards=(("FLAVOR", ""), ("TAI", "")), gain="e_per_adu", fields={"kind": ("FLAVOR",)}),
    Dialect("Liverpool", cards=(("TELESCOP", "liverpool"),), gain="e_per_adu", fields={"kind": ("OBSTYPE",)}),
    Dialect("ING", cards=(("OBSTYPE", ""), ("WFFBAND", "")), gain="e_per_adu", fields={"kind": ("OBSTYPE",)}),
    *(
        Dialect("IRAF", cards=((noise, ""), (section, "")), gain="e_per_adu")
        for noise in ("RDNOISE", "READNOIS", "RON")
        for section in ("BIASSEC", "TRIMSEC", "DATASEC", "CCDSUM", "DETSEC", "CCDSEC")
    ),
)
"""Every dialect; the first that is recognised wins, so programs stand before observatories before conventions."""

UNRECOGNISED = Dialect("generic")
