"""The schema of the calibration database and how an older one becomes a newer one.

The tables, indexes and views stand in one module for each version that added some.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

from sqlite_utils import Database, Migrations

from ingestd.doors.schema import first_version
from ingestd.errors import CatalogueUnusable

if TYPE_CHECKING:
    from pathlib import Path

MIGRATIONS = Migrations("ingestd")


def migrate(db: Database, path: Path, migrations: Migrations = MIGRATIONS) -> list[str]:
    """Bring the database to the newest schema, in one transaction, after a backup if an older schema holds rows.

    Parameters
    ----------
    db : Database
        A writable connection outside a transaction.
    path : Path
        Where the database lies; the backup is written beside it.
    migrations : Migrations
        The migrations that this version of the program knows.

    Returns
    -------
    list of str
        The migrations that were applied now.

    Raises
    ------
    CatalogueUnusable
        If the database has migrations that this version does not know, or is no database of ours. It is unchanged then.
    """
    applied = [migration.name for migration in migrations.applied(db)]
    refuse_foreign(db, path, applied, migrations)
    pending = [migration.name for migration in migrations.pending(db)]
    if not pending:
        return []
    if applied and db.execute("SELECT EXISTS (SELECT 1 FROM frames)").fetchone()[0]:
        _back_up(db, path.with_name(f"{path.name}.before-{pending[0]}"))
    db.conn.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(db)
        db.conn.execute("COMMIT")
    except BaseException:
        db.conn.rollback()
        raise
    return pending


def refuse_foreign(db: Database, path: Path, applied: list[str], migrations: Migrations = MIGRATIONS) -> None:
    """Raise CatalogueUnusable if a newer version wrote the database, or another program did."""
    known = declared(migrations)
    newer = [name for name in applied if name not in known]
    if newer:
        raise CatalogueUnusable(
            f"{path}: written by a newer version of ingestd (schema {newer[-1]!r}); it is left unchanged. "
            "Install that version, or name another data directory in paths.data."
        )
    if not applied and db.table_names():
        raise CatalogueUnusable(
            f"{path}: a SQLite database, but not one of ingestd: it holds the table {db.table_names()[0]!r}. "
            "Name another data directory in paths.data."
        )


def refuse_older(db: Database, path: Path, migrations: Migrations = MIGRATIONS) -> None:
    """Raise CatalogueUnusable unless a reader, who must not migrate, finds exactly the newest schema."""
    applied = [migration.name for migration in migrations.applied(db)]
    refuse_foreign(db, path, applied, migrations)
    if applied != declared(migrations):
        raise CatalogueUnusable(
            f"{path}: has the schema of an older version of ingestd, or none. Start the daemon once: it migrates."
        )


def declared(migrations: Migrations = MIGRATIONS) -> list[str]:
    """Return the names of all migrations that the program knows, oldest first."""
    with closing(Database(memory=True, execute_plugins=False)) as empty:
        return [migration.name for migration in migrations.pending(empty)]


def _back_up(db: Database, target: Path) -> None:
    """Write a copy of the database; it appears under its name only when it is complete."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640))
    db.execute("VACUUM INTO ?", [str(part)])
    part.replace(target)


def _execute_all(db: Database, statements: tuple[str, ...]) -> None:
    """Execute constant statements one by one: ``executescript`` would commit the transaction."""
    for statement in statements:
        db.execute(statement)


@MIGRATIONS(name="0001_path_of_a_frame")
def create_catalogue(db: Database) -> None:
    """Create the tables, indexes and views of the first version."""
    _execute_all(db, first_version.TABLES_OF_FRAMES)
    _execute_all(db, first_version.TABLES_OF_MASTERS)
    _execute_all(db, first_version.TABLES_OF_PRODUCTS)
    _execute_all(db, first_version.TABLES_OF_QUALITY)
    _execute_all(db, first_version.INDEXES)
    _execute_all(db, first_version.VIEWS)
