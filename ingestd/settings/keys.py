"""How a key of config.toml is declared: a field of a section with its default and what is allowed."""

from __future__ import annotations

from dataclasses import MISSING, field, is_dataclass
from typing import Any


def key(
    default: object = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - stands in for the default of a field of any type
    """Declare a settings key with its default and what is allowed."""
    allowed = {"low": low, "high": high, "choices": choices}
    if isinstance(default, dict | list) or is_dataclass(default):
        return field(default_factory=lambda: default, metadata=allowed)
    return field(default=default, metadata=allowed)
