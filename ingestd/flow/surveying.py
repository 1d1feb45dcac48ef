"""The headers of a directory, read and nothing else: spread over its folders, with nothing written there."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from ingestd.doors import fitsfile
from ingestd.doors.watcher.walk import LeftOut, walk_frames
from ingestd.errors import FrameNotReady, FrameRejected
from ingestd.rules.proposing import Refused, Sample, Survey
from ingestd.settings import Limits


def survey_directory(
    directory: Path, limit: int, limits: Limits, progress: Callable[[int, int], None] | None = None
) -> Survey:
    """Return the headers of at most ``limit`` frames of a directory and all below it.

    Parameters
    ----------
    directory : Path
        Only opened for reading; links below it are not followed.
    limit : int
        If there are more files, every folder gives its share, spread over its names.
    limits : Limits
        What the header of one file may cost.
    progress : callable (done, total), optional
        Called after each file.

    Raises
    ------
    OSError
        If the directory itself cannot be read.
    """
    os.scandir(directory).close()
    top = str(directory)
    left_out = LeftOut()
    paths = [path for path, _ in walk_frames(top, (), left_out)]
    chosen = spread(paths, limit)
    samples: list[Sample] = []
    refused: list[Refused] = []
    for number, path in enumerate(chosen, 1):
        found = read_sample(Path(path), os.path.relpath(path, top), limits)
        if isinstance(found, Sample):
            samples.append(found)
        else:
            refused.append(found)
        if progress is not None:
            progress(number, len(chosen))
    return Survey(len(paths), tuple(samples), tuple(refused), tuple(left_out.words()))


def read_sample(path: Path, name: str, limits: Limits) -> Sample | Refused:
    """Return the headers of one file under a name, or why they cannot be read."""
    try:
        descriptor = fitsfile.open_raw(path)
    except FrameRejected as error:
        return Refused(name, error.reason, error.detail)
    except OSError as error:
        return Refused(name, "unreadable", error.strerror or str(error))
    try:
        return Sample(name, fitsfile.read_header(descriptor, limits))
    except (FrameNotReady, FrameRejected) as error:
        return Refused(name, error.reason, error.detail)
    except OSError as error:
        return Refused(name, "unreadable", error.strerror or str(error))
    finally:
        os.close(descriptor)


def spread(paths: Sequence[str], limit: int) -> list[str]:
    """Return at most ``limit`` paths, sorted: as many from each folder, and those evenly spread over its names.

    A folder with fewer leaves its share to the others, so that ten biases beside ten thousand lights are all seen.
    """
    if len(paths) <= limit:
        return sorted(paths)
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        folders[path.rpartition("/")[0]].append(path)
    chosen: list[str] = []
    waiting = sorted(folders.values(), key=len)
    for position, names in enumerate(waiting):
        share = min(len(names), (limit - len(chosen)) // (len(waiting) - position))
        chosen += [names[number * len(names) // share] for number in range(share)]
    return sorted(chosen)
