"""The one connection: opening the database safely, and transactions that happen wholly or not at all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from sqlite_utils import Database

from ingestd.doors import schema
from ingestd.doors.mounts import mount_of, read_mounts
from ingestd.errors import CatalogueUnusable
from ingestd.records import Reach
from ingestd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from ingestd.records import Master

_BUSY_TIMEOUT_MS = 30_000
_WAL_LIMIT_BYTES = 64 << 20
_CACHE_KIB = 16 << 10
_PAGE_ROWS = 500
_TRANSIENT = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class CatalogueDamaged(CatalogueUnusable):
    """The file is not intact SQLite: move it aside; everything in it can be rebuilt from the raw frames."""


class CatalogueBusy(CatalogueUnusable):
    """Nothing was changed: the disk is full, or another program holds the database. Try the same again later.

    Parameters
    ----------
    text : str
        What happened, with the path.
    disk_full : bool
        True if space is missing.
    """

    def __init__(self, text: str, *, disk_full: bool = False) -> None:
        super().__init__(text)
        self.disk_full = disk_full


def everywhere(master: Master) -> Reach:  # noqa: ARG001 - whatever the master
    """Return that a master concerns every science frame of its set-up: right, if not thrifty, under any rules."""
    return Reach()


class Connection:
    """An open database. A writer is the only one of its data directory; it belongs to the thread that opened it.

    Attributes
    ----------
    path : Path
        The database file.
    rules : settings.Settings
        Their association rules: the windows and validities by which a changed frame or master marks nights and frames
        stale.
    reach : callable
        Which science frames a master can concern.
    """

    def __init__(self, path: Path, db: Database, rules: Settings, reach: Callable[[Master], Reach]) -> None:
        self.path = path
        self.rules = rules
        self.reach = reach
        self._db = db

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        immutable: bool = False,
        check: bool = True,
        rules: Settings | None = None,
        reach: Callable[[Master], Reach] | None = None,
    ) -> Self:
        """Open the database; a writer creates or migrates it first.

        Parameters
        ----------
        path : Path
            The database file.
        read_only : bool
            Open for reading only, beside a writer or without one.
        immutable : bool
            For a reader on read-only media or in a directory that it may not write to. Only where no daemon holds the
            lock and no ``-wal`` file exists: nothing is locked then and a change would go unseen.
        check : bool
            A writer runs SQLite's quick_check first.
        rules : settings.Settings, optional
            Whose association rules hold, by default the defaults.
        reach : callable, optional
            Which science frames a master can concern: ``rules.matching.reach_rule``; by default all that share its
            set-up.

        Raises
        ------
        CatalogueDamaged
            If the file is not intact.
        CatalogueUnusable
            If it lies on a network file system, may not be written, is too new, or is not ours.
        """
        try:
            db = _open_reader(path, immutable=immutable) if read_only else _open_writer(path, check=check)
        except sqlite3.Error as error:
            raise _translated(error, path) from error
        db.conn.row_factory = sqlite3.Row
        return cls(path, db, rules or Settings(camera=()), reach or everywhere)

    def close(self) -> None:
        """Close the connection; the last one empties the write-ahead log into the database."""
        self._db.conn.close()

    def __enter__(self) -> Self:
        """Return the open database."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection, whatever happened."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside happen wholly or not at all; a transaction inside joins the outer one.

        It takes the write lock at once: one that reads first and writes later cannot wait for the lock (SQLite's
        BUSY_SNAPSHOT).

        Raises
        ------
        CatalogueBusy
            If the disk is full or another program holds the lock for 30 s; nothing was changed.
        """
        try:
            if self._db.conn.in_transaction:
                with self._db.atomic():
                    yield
                return
            self._db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.conn.execute("COMMIT")
            except BaseException:
                self._db.conn.rollback()
                raise
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def _write(self, sql: str, parameters: Mapping[str, object]) -> int:
        """Execute one writing statement inside a transaction and return the number of rows it changed."""
        return self._db.conn.execute(sql, parameters).rowcount

    def _write_many(self, sql: str, rows: list[dict[str, object]]) -> None:
        """Execute one writing statement for many rows inside a transaction."""
        self._db.conn.executemany(sql, rows)

    def _rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        try:
            return self._db.conn.execute(sql, parameters or {}).fetchall()
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error

    def _stream(self, sql: str, parameters: Mapping[str, object] | None = None) -> Iterator[sqlite3.Row]:
        """Yield the rows of a query as they are found: all of one state of the database, however long it takes."""
        cursor = self._db.conn.cursor()
        try:
            cursor.execute(sql, parameters or {})
            while page := cursor.fetchmany(_PAGE_ROWS):
                yield from page
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error
        finally:
            cursor.close()

    def _row(self, sql: str, parameters: Mapping[str, object] | None = None) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        rows = self._rows(sql, parameters)
        return rows[0] if rows else None

    def _texts(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[str]:
        """Return the first column of all rows of a query, texts."""
        return [row[0] for row in self._rows(sql, parameters)]

    def _value(self, sql: str, parameters: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - any column
        """Return the first column of the first row, or None."""
        row = self._row(sql, parameters)
        return None if row is None else row[0]


def _open_writer(path: Path, *, check: bool) -> Database:
    """Return a writing connection to a checked database of the newest schema."""
    _refuse_network(path)
    _create(path)
    conn = sqlite3.connect(path)
    try:
        db = Database(conn, strict=True, execute_plugins=False)
        if check:
            _check(db, path)
        schema.refuse_foreign(db, path, [migration.name for migration in schema.MIGRATIONS.applied(db)])
        _set_pragmas(db, path)
        schema.migrate(db, path)
    except BaseException:
        conn.close()
        raise
    return db


def _open_reader(path: Path, *, immutable: bool) -> Database:
    """Return a connection that cannot write."""
    if not path.exists():
        raise CatalogueUnusable(f"{path}: there is no database yet. Start the daemon, or name the data directory.")
    place = quote(str(path.absolute()), errors="surrogateescape")
    conn = sqlite3.connect(f"file:{place}?mode=ro{'&immutable=1' if immutable else ''}", uri=True)
    try:
        db = Database(conn, strict=True, execute_plugins=False)
        db.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        schema.refuse_older(db, path)
    except BaseException:
        conn.close()
        raise
    return db


def _refuse_network(path: Path) -> None:
    """Raise CatalogueUnusable if the database would lie on a network file system."""
    mount = mount_of(os.path.realpath(path), read_mounts())
    if mount is not None and mount.is_network:
        raise CatalogueUnusable(
            f"{path}: lies on a network file system ({mount.fs_type}), where SQLite cannot keep its promises. "
            "Name a directory on a local disk in paths.data."
        )


def _create(path: Path) -> None:
    """Make the directory and an empty file of mode 0640 before SQLite makes one that everybody may read."""
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
    except OSError as error:
        raise CatalogueUnusable(
            f"{path}: cannot be written: {error.strerror}. Give the file and its directory to the user of the daemon."
        ) from error


def _check(db: Database, path: Path) -> None:
    """Raise CatalogueDamaged unless SQLite finds the file intact."""
    findings = [row[0] for row in db.execute("PRAGMA quick_check(3)")]
    if findings != ["ok"]:
        raise _damaged(path, "; ".join(findings))


def _damaged(path: Path, finding: str) -> CatalogueDamaged:
    """Return the error for a file that is not intact."""
    return CatalogueDamaged(
        f"{path}: the database is damaged: {finding}. Move it aside together with {path.name}-wal and {path.name}-shm, "
        "or restore a backup, and start again: what it held is rebuilt from the raw frames."
    )


def _set_pragmas(db: Database, path: Path) -> None:
    """Set what durability and integrity rest on, and read it back."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": _BUSY_TIMEOUT_MS}
    for name, value in wanted.items():
        db.execute(f"PRAGMA {name} = {value}")
        found = db.execute(f"PRAGMA {name}").fetchone()[0]
        if found != value:
            raise CatalogueUnusable(f"{path}: SQLite refuses {name} = {value}: it is {found}")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    db.execute("PRAGMA temp_store = MEMORY")


def _translated(error: sqlite3.Error, path: Path) -> Exception:
    """Return the error that says what to do; a fault of the program stays what it is."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(_DAMAGED):
        return _damaged(path, str(error))
    if name.startswith(_TRANSIENT):
        return CatalogueBusy(f"{path}: {error} ({name}); nothing was changed", disk_full=name == "SQLITE_FULL")
    return error
