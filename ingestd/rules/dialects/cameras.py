"""Which camera of the settings a file belongs to."""

from __future__ import annotations

from dataclasses import replace

from ingestd.records import FileHeader
from ingestd.rules.dialects.fields import Cards, text
from ingestd.rules.dialects.planes import find_images
from ingestd.rules.dialects.recognise import merge_units
from ingestd.rules.dialects.type_cards import matches
from ingestd.settings import Camera, Settings


def choose_camera(header: FileHeader, path_abs: str, settings: Settings) -> Camera | None:
    """Return the first camera whose directories hold the file and whose ``match`` cards agree, or None.

    Parameters
    ----------
    header : FileHeader
        For the cards named in ``match``; a value there may hold * and ?, and case does not count.
    path_abs : str
        Absolute path of the file.
    settings : Settings
        The cameras in their order.
    """
    cards: Cards | None = None
    for camera in settings.camera:
        if not _holds_file(camera, path_abs, settings):
            continue
        if camera.match and cards is None:
            images = find_images(header)
            cards = merge_units(header, images[0].unit.index if images else 0)
        if all(matches(wanted.strip(), text((cards or {}).get(name.upper()))) for name, wanted in camera.match.items()):
            return camera
    return None


def _holds_file(camera: Camera, path_abs: str, settings: Settings) -> bool:
    """Return whether the file lies below one of the camera's directories."""
    roots = replace(settings, camera=(camera,)).roots
    return any(path_abs.startswith(f"{str(root).rstrip('/')}/") for root in roots)
