"""FITS files: the bounded pre-read and the hash of raw frames, readers of their pixels, the writer of products."""

from ingestd.doors.fitsfile.cards import card
from ingestd.doors.fitsfile.copying import copied_cards
from ingestd.doors.fitsfile.frames import FrameReader
from ingestd.doors.fitsfile.header import read_header
from ingestd.doors.fitsfile.layout import HduSpec, ImageHdus, ImageSpec, lay_out
from ingestd.doors.fitsfile.masters import MasterPlane, MasterPlanes, read_master
from ingestd.doors.fitsfile.pixels import PlaneReader
from ingestd.doors.fitsfile.products import ProductWriter, is_disk_full, is_temporary, remove_temporaries
from ingestd.doors.fitsfile.rawfile import hash_file, open_raw, stamp

__all__ = [
    "FrameReader",
    "HduSpec",
    "ImageHdus",
    "ImageSpec",
    "MasterPlane",
    "MasterPlanes",
    "PlaneReader",
    "ProductWriter",
    "card",
    "copied_cards",
    "hash_file",
    "is_disk_full",
    "is_temporary",
    "lay_out",
    "open_raw",
    "read_header",
    "read_master",
    "remove_temporaries",
    "stamp",
]
