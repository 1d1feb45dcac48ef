"""SQL of a person: answered if it only reads, within a time limit, beside a running daemon or without one."""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ingestd.doors.catalogue.reading import Reading
from ingestd.errors import IngestdError

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEPS_BETWEEN_LOOKS = 10_000
_LONGEST_VALUE_BYTES = 64 << 20
_PAGE_ROWS = 500

_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_HELP = "The tables and views: SELECT name, sql FROM sqlite_master"
_PRAGMAS = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "database_list"}


class QuestionRefused(IngestdError):
    """A statement is no question, has a mistake, or takes too long; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for: the names of the columns, and the rows as they are found."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class Questions(Reading):
    """One question at a time."""

    @contextmanager
    def asking(self, sql: str, *, time_limit_s: float = 30.0) -> Iterator[Answer]:
        """Ask one question in SQL; its rows are read inside the block.

        Parameters
        ----------
        sql : str
            One SELECT, WITH, VALUES, EXPLAIN, or PRAGMA that describes a table.
        time_limit_s : float, second
            From the question to its last row.

        Yields
        ------
        Answer

        Raises
        ------
        QuestionRefused
            If the statement would change anything, has a mistake, or takes longer; from the block too.
        """
        conn = self._db.conn
        deadline = time.monotonic() + time_limit_s
        longest = conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE_BYTES)
        conn.set_authorizer(_allow)
        conn.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
        cursor = conn.cursor()
        cursor.row_factory = None
        try:
            cursor.execute(sql)
            if cursor.description is None:
                raise QuestionRefused("there is no question in this: ask with SELECT")
            yield Answer(tuple(column[0] for column in cursor.description), _pages(cursor, deadline))
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _refusal(error, time_limit_s) from error
        except TimeoutError as error:
            raise _too_long(time_limit_s) from error
        finally:
            cursor.close()
            conn.set_progress_handler(None, 0)
            conn.set_authorizer(None)
            conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)


def _pages(cursor: sqlite3.Cursor, deadline: float) -> Iterator[tuple[Any, ...]]:
    """Yield rows; a reader that takes them slowly is held to the limit too, for it holds up the write-ahead log."""
    while page := cursor.fetchmany(_PAGE_ROWS):
        yield from page
        if time.monotonic() > deadline:
            raise TimeoutError


def _allow(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Return whether an action only reads: an allow list, so that ATTACH, for one, makes no file."""
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    is_description = action == sqlite3.SQLITE_PRAGMA and first in _PRAGMAS
    # SQLite asks so for functions that return tables (json_each); it refuses such a statement of a person by itself
    is_declaration = action == sqlite3.SQLITE_UPDATE and first == "sqlite_master"
    return sqlite3.SQLITE_OK if action in _READING or is_description or is_declaration else sqlite3.SQLITE_DENY


def _refusal(error: Exception, time_limit_s: float) -> QuestionRefused:
    """Return what to tell a person."""
    name = getattr(error, "sqlite_errorname", None) or ""
    if name == "SQLITE_INTERRUPT":
        return _too_long(time_limit_s)
    if name in ("SQLITE_AUTH", "SQLITE_READONLY") or "not authorized" in str(error):
        return QuestionRefused(
            "the database is read only here: SELECT, WITH, VALUES and EXPLAIN are answered, nothing else. "
            "Nothing was changed; what changes something has a command of its own"
        )
    return QuestionRefused(f"SQLite says: {str(error).rstrip('.')}. {_HELP}")


def _too_long(time_limit_s: float) -> QuestionRefused:
    """Return the error of a question that takes too long."""
    return QuestionRefused(
        f"no complete answer within {time_limit_s:g} s. Ask for less (WHERE, LIMIT), or give it more time: --time-limit"
    )
