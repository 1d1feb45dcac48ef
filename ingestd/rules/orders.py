"""Orders as text: all that an order says and no other row of the catalogue does, so that it can be given once more.

The text is JSON: arithmetic, gain, conditions, and how each parent was used. Frames and masters stand in it by their
identities; what they are is looked up again. Fields follow the dataclasses of ``records``, so a new setting that enters
the arithmetic is kept without a change here. That an order is restored exactly is proven by its address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Protocol, get_args, get_origin, get_type_hints

from ingestd.errors import IngestdError
from ingestd.records import ALGORITHMS, BuildMaster, FrameInput, FrameRecord, Master, MasterInput, ReduceFrame
from ingestd.rules import addresses

Order = BuildMaster | ReduceFrame

_KINDS: Mapping[str, type[BuildMaster | ReduceFrame]] = {"master": BuildMaster, "product": ReduceFrame}
_LEFT_OUT = {BuildMaster: ("job_id", "members", "product"), ReduceFrame: ("job_id", "member", "product")}
_LOOKED_UP = ("path", "sha256", "exposure_s", "ccd_temp_c", "cards")


class OrderLost(IngestdError):
    """An order cannot be given again: something that it needs is no longer there, or no longer the same."""


class Shelf(Protocol):
    """What an order is completed from."""

    def frame(self, frame_id: str) -> FrameRecord | None:
        """Return the record of a frame, or None."""

    def path_of(self, frame_id: str) -> str | None:
        """Return where a frame lies now, or None if it is gone."""

    def master(self, master_id: str) -> Master | None:
        """Return a master, or None."""


# --- to text ----------------------------------------------------------------------------------------------------------


def order_text(job: Order) -> str:
    """Return what of an order must be kept to give it again, as one line of JSON.

    Of the masters of members only what enters their pixels is kept: their ages, for one, differ from member to member
    and stand nowhere in a master.
    """
    members = (_without_distances(it) for it in job.members) if isinstance(job, BuildMaster) else (job.member,)
    used: dict[str, int] = {}
    inputs = []
    for member in members:
        numbers = [used.setdefault(_compact(_master_values(it)), len(used)) for it in member.masters]
        inputs.append([member.frame.frame_id, numbers])
    text = _compact(
        {
            "order": "master" if isinstance(job, BuildMaster) else "product",
            "algorithm": _algorithm(job),
            "inputs": inputs,
            **{it.name: _plain(getattr(job, it.name)) for it in fields(job) if it.name not in _LEFT_OUT[type(job)]},
        }
    )
    return f'{text[:-1]},"masters":[{",".join(used)}]}}'


def _without_distances(member: FrameInput) -> FrameInput:
    """Return a member of a master without what only describes its parents."""
    return replace(member, masters=tuple(replace(it, delta_temp_c=None, age_h=0.0) for it in member.masters))


def _master_values(used: MasterInput) -> dict[str, Any]:
    """Return how a master is used; where it lies and what it holds is looked up."""
    return {it.name: _plain(getattr(used, it.name)) for it in fields(used) if it.name not in _LOOKED_UP}


def _algorithm(job: Order) -> int:
    """Return the version of the arithmetic behind an order."""
    return ALGORITHMS[job.group.kind.value if isinstance(job, BuildMaster) else "reduce"]


def _plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON has
    """Return a value of the records as JSON has it."""
    if is_dataclass(value):
        return {it.name: _plain(getattr(value, it.name)) for it in fields(value)}
    if isinstance(value, Enum):
        return value.value
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _compact(value: object) -> str:
    """Return a value as JSON without spaces; floats are exact."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


# --- from text --------------------------------------------------------------------------------------------------------


def read_order(text: str, job_id: str, shelf: Shelf, data_dir: PurePath, product: str) -> Order:
    """Return the order that a master or product was made by.

    Parameters
    ----------
    text : str
        What ``order_text`` gave.
    job_id : str
        Its address.
    shelf : Shelf
        The catalogue.
    data_dir : path
        Where masters lie, absolute.
    product : str
        Where the result is to be written, absolute.

    Raises
    ------
    OrderLost
        If a raw frame or a master is gone, the arithmetic of this program is another, or what is known of a frame has
        changed so that another order came out.
    """
    values = json.loads(text or "{}")
    if not values:
        raise OrderLost("the catalogue does not hold the order that it was made by")
    kind = _KINDS[values["order"]]
    members = values.pop("inputs")
    _check_raw_frames([frame_id for frame_id, _ in members], shelf)
    used = [_read_master(it, shelf, data_dir) for it in values.pop("masters")]
    inputs = tuple(_read_input(frame_id, [used[n] for n in numbers], shelf) for frame_id, numbers in members)
    hints = get_type_hints(kind)
    known = {it.name: _read(hints[it.name], values[it.name]) for it in fields(kind) if it.name in values}
    known |= {"members": inputs} if kind is BuildMaster else {"member": inputs[0]}
    job: Order = kind(job_id=job_id, product=product, **known)
    if _algorithm(job) != values["algorithm"]:
        former, present = values["algorithm"], _algorithm(job)
        raise OrderLost(f"it was made by version {former} of the arithmetic; this program has version {present}")
    if (addresses.of_master(job) if isinstance(job, BuildMaster) else addresses.of_reduction(job)) != job_id:
        raise OrderLost("what the catalogue knows of its frames or masters is no longer what it was then")
    return job


def _check_raw_frames(frame_ids: list[str], shelf: Shelf) -> None:
    """Raise OrderLost if raw frames are gone."""
    gone = [frame_id[:8] for frame_id in frame_ids if shelf.path_of(frame_id) is None]
    if gone:
        one = f"its raw frame {gone[0]} is gone; put the file back and let it be scanned"
        several = f"{len(gone)} of its {len(frame_ids)} raw frames are gone; put the files back and let them be scanned"
        raise OrderLost(one if len(frame_ids) == 1 else several)


def _read_master(values: Mapping[str, Any], shelf: Shelf, data_dir: PurePath) -> MasterInput:
    """Return a parent with where it lies and what it holds."""
    master = shelf.master(values["master_id"])
    if master is None:
        raise OrderLost(f"its master {values['kind']} {values['master_id'][:8]} is no longer in the catalogue")
    hints = get_type_hints(MasterInput)
    known = {it.name: _read(hints[it.name], values[it.name]) for it in fields(MasterInput) if it.name in values}
    looked_up = {name: getattr(master, name) for name in _LOOKED_UP} | {"path": str(data_dir / master.path)}
    return MasterInput(**{**known, **looked_up})


def _read_input(frame_id: str, masters: list[MasterInput], shelf: Shelf) -> FrameInput:
    """Return a raw frame with the masters that calibrate it."""
    frame, path = shelf.frame(frame_id), shelf.path_of(frame_id)
    if frame is None or path is None:
        raise OrderLost(f"its raw frame {frame_id[:8]} is no longer known")
    return FrameInput(frame, path, tuple(masters))


def _read(hint: Any, value: Any) -> Any:  # noqa: ANN401 - types are values here
    """Return a value of the type that a field declares."""
    if value is None:
        return None
    if get_origin(hint) is UnionType:
        return _read(next(part for part in get_args(hint) if part is not NoneType), value)
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        return tuple(_read(parts[0] if parts[-1] is Ellipsis else parts[n], each) for n, each in enumerate(value))
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{it.name: _read(hints[it.name], value[it.name]) for it in fields(hint) if it.name in value})
    if isinstance(hint, type) and issubclass(hint, Enum | float):
        return hint(value)
    return value
