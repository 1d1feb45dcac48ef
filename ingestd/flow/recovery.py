"""What a start must put right: leftovers of a killed process, and the stable links of current products."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from ingestd.doors import store
from ingestd.doors.catalogue import Catalogue
from ingestd.rules import addresses
from ingestd.rules.planning import SUSPICIOUS_DEATHS
from ingestd.settings import Settings

_log = logging.getLogger(__name__)


def recover(catalogue: Catalogue, settings: Settings, now: datetime) -> None:
    """Remove our temporary files and unrecorded products, and point every stable link at its product.

    What was still arriving is forgotten: what is there is met again, and the rest is gone.
    """
    _count_deaths(catalogue, now)
    catalogue.drop_arrivals([row.path for row in catalogue.arrivals()])
    recorded = catalogue.product_paths()
    removed, kept = store.remove_leftovers(settings.data_dir, recorded, catalogue.born(now))
    if kept:
        _log.warning(
            "Kept: %d products older than the catalogue, for example %s. They are of a former catalogue: what is found "
            "again among the raw frames is written under the same names",
            len(kept),
            kept[0].name,
        )
    if removed:
        catalogue.add_event("info", "recovered", "", f"removed {len(removed)} files that were never recorded", now)
        _log.info("Recovered: removed %d temporary or unrecorded files, for example %s", len(removed), removed[0].name)
    products = [str(settings.data_dir / path) for _, path, _ in catalogue.current_products()]
    links = {addresses.current_link(product): product for product in products}
    repaired = store.repair_links(settings.data_dir, links, recorded)
    if repaired:
        _log.info("Recovered: repaired %d links below %s", repaired, settings.data_dir / "current")


def _count_deaths(catalogue: Catalogue, now: datetime) -> None:
    """Note the death of the last daemon beside the jobs that were out, and give up on those it always died beside."""
    beside = catalogue.count_deaths()
    if beside:
        _log.warning("The last run ended without a stop, beside %d jobs: they are done again", beside)
        catalogue.add_event("warning", "daemon_died", "", f"beside {beside} jobs", now)
    for job_id, frame_id in catalogue.suspects(2 * SUSPICIOUS_DEATHS).items():
        detail = f"the daemon died {2 * SUSPICIOUS_DEATHS} times in a row beside it, at last while nothing else ran"
        if frame_id is not None:
            catalogue.quarantine(frame_id, "crashed", detail, now)
        else:
            catalogue.record_failure(job_id, None, "crashed", None, True, True, now, detail=detail)
        catalogue.land([job_id])
        _log.error("Quarantined: %s: crashed: %s", (frame_id or job_id)[:8], detail)


def tidy(catalogue: Catalogue, settings: Settings, now: datetime) -> None:
    """Remove superseded products and masters beyond what the settings keep: first the fact, then the file."""
    retention = settings.retention
    products = catalogue.superseded_products(retention.revisions)
    if retention.reduced_d > 0:
        oldest = (now - timedelta(days=retention.reduced_d)).date().isoformat()
        products += catalogue.expired_products(oldest)
    masters = catalogue.unused_masters(retention.masters)
    if not products and not masters:
        return
    reduction_ids, master_ids = [found for found, _ in products], [found for found, _ in masters]
    catalogue.mark_pruned(reduction_ids=reduction_ids, master_ids=master_ids, now=now)
    remove_links(settings, [path for _, path in products])
    for _, path in [*products, *masters]:
        store.remove_product(settings.data_dir, path)


def remove_links(settings: Settings, products: Iterable[str]) -> None:
    """Remove the stable links that still point to products (relative paths) that are current no longer."""
    for path in products:
        product = settings.data_dir / path
        store.remove_link(Path(addresses.current_link(str(product))), product)
