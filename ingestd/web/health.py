"""Health: the facts that the daemon publishes after each round of its work, and what follows from them."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What the daemon knows of itself at one instant.

    ``taken_s`` is the monotonic clock at that instant; the ages (seconds) are those at that instant, so they go on
    growing where the daemon hangs and publishes no new facts. An age is None where nothing has happened yet
    (``scan_age_s``) or nothing is pending (``oldest_pending_s``). ``database_problem`` is empty
    where all is well. ``busy_until_s`` (monotonic) lets a round last as long as the work that it announced. ``unread``:
    directories below the roots that give an error.
    """

    taken_s: float
    tick_limit_s: float
    roots: tuple[str, ...]
    missing_roots: tuple[str, ...]
    dead_emitters: tuple[str, ...]
    scan_age_s: float | None
    scan_limit_s: float
    database_problem: str
    free_bytes: int
    min_free_bytes: int
    oldest_pending_s: float | None
    pending_limit_s: float
    busy_until_s: float = 0.0
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of health: its name, whether it holds, and a sentence with the numbers.

    Where one that is not ``is_needed`` fails, the daemon goes on with the rest: it is degraded, and ready.
    """

    name: str
    ok: bool
    text: str
    is_needed: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict: ``is_live`` if the daemon's rounds go on, ``is_ready`` if frames that arrive now are processed."""

    checks: tuple[Check, ...]

    @property
    def is_live(self) -> bool:
        """True if the daemon makes progress."""
        return all(check.ok for check in self.checks if check.name == "progress")

    @property
    def is_ready(self) -> bool:
        """True if every check that is needed holds."""
        return all(check.ok for check in self.checks if check.is_needed)

    @property
    def is_degraded(self) -> bool:
        """True if any check fails."""
        return not all(check.ok for check in self.checks)

    def as_json(self) -> bytes:
        """Return the verdict as JSON: ``ready``, ``degraded`` and, by name, ``ok`` and ``text`` of each check."""
        checks = {check.name: {"ok": check.ok, "text": check.text} for check in self.checks}
        verdict = {"ready": self.is_ready, "degraded": self.is_degraded, "checks": checks}
        return json.dumps(verdict, indent=1).encode("ascii") + b"\n"


def assess(facts: HealthFacts | None, monotonic_s: float) -> Health:
    """Return the verdict on the newest facts at the monotonic time ``monotonic_s``; None: nothing is known yet."""
    if facts is None:
        return Health((Check("started", ok=False, text="The daemon is starting."),))
    elapsed_s = max(monotonic_s - facts.taken_s, 0.0)
    checks = (
        _progress(facts, monotonic_s, elapsed_s),
        _roots(facts),
        _emitters(facts),
        _readable(facts),
        _scan(facts, elapsed_s),
        _database(facts),
        _disk(facts),
        _pending(facts, elapsed_s),
    )
    return Health(checks)


def _progress(facts: HealthFacts, monotonic_s: float, elapsed_s: float) -> Check:
    """Return whether rounds follow each other within the limit."""
    ok = elapsed_s <= facts.tick_limit_s or monotonic_s <= facts.busy_until_s
    return Check("progress", ok, f"Last round {elapsed_s:.0f} s ago, limit {facts.tick_limit_s:g} s.")


def _roots(facts: HealthFacts) -> Check:
    """Return whether all watched directories are there."""
    if facts.missing_roots:
        missing = ", ".join(facts.missing_roots)
        return Check("watched_roots", ok=False, text=f"Missing: {missing}. Mount or create it; ingestd waits for it.")
    return Check("watched_roots", ok=True, text=f"{len(facts.roots)} of {len(facts.roots)} present.")


def _emitters(facts: HealthFacts) -> Check:
    """Return whether every present directory is being watched."""
    if facts.dead_emitters:
        dead = ", ".join(facts.dead_emitters)
        return Check("emitters", ok=False, text=f"Not watched: {dead}. New files are found by the next scan only.")
    return Check("emitters", ok=True, text="All watched.")


def _readable(facts: HealthFacts) -> Check:
    """Return whether all directories below the roots can be read."""
    if facts.unread:
        text = f"Cannot be read: {', '.join(facts.unread)}. Let the user of ingestd read it (chmod, chown)."
        return Check("readable", ok=False, text=text, is_needed=False)
    return Check("readable", ok=True, text="All directories can be read.", is_needed=False)


def _scan(facts: HealthFacts, elapsed_s: float) -> Check:
    """Return whether the reconciling scan is on time."""
    if facts.scan_age_s is None:
        return Check("scan", ok=False, text="The first scan has not ended yet.")
    age_s = facts.scan_age_s + elapsed_s
    return Check("scan", age_s <= facts.scan_limit_s, f"Last scan {age_s:.0f} s ago, limit {facts.scan_limit_s:g} s.")


def _database(facts: HealthFacts) -> Check:
    """Return whether the catalogue can be written."""
    problem = facts.database_problem
    return Check("database", not problem, problem or "Writable.")


def _disk(facts: HealthFacts) -> Check:
    """Return whether there is room for products."""
    ok = facts.free_bytes >= facts.min_free_bytes
    text = f"{facts.free_bytes / 1e9:.2f} GB free, {facts.min_free_bytes / 1e9:.2f} GB needed."
    return Check("disk", ok, text if ok else f"{text} Writing pauses until space is freed; nothing is lost.")


def _pending(facts: HealthFacts, elapsed_s: float) -> Check:
    """Return whether the work keeps up."""
    if facts.oldest_pending_s is None:
        return Check("pending", ok=True, text="Nothing is pending.")
    age_s = facts.oldest_pending_s + elapsed_s
    text = f"Oldest pending frame {age_s:.0f} s old, limit {facts.pending_limit_s:g} s."
    return Check("pending", age_s <= facts.pending_limit_s, text)
