"""Opening the database: modes, durability, refusals, transactions."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ingestd.doors import mounts
from ingestd.doors.catalogue import Catalogue, CatalogueBusy, CatalogueDamaged
from ingestd.errors import CatalogueUnusable
from tests.doors.catalogue_samples import NOW, frame, taken


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "catalogue.sqlite"


def add_and_fail(catalogue, name):
    """Add a frame in a transaction that fails."""
    with catalogue.transaction():
        catalogue.add_frames([taken(frame(name))], NOW)
        _ = 1 / 0


def fill(path, count: int = 300) -> None:
    with Catalogue.open(path) as catalogue:
        catalogue.add_frames([taken(frame(f"frame {n}")) for n in range(count)], NOW)


def test_network_file_system_is_refused(path, tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / {tmp_path} rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(mounts, "_MOUNTINFO", table)
    with pytest.raises(CatalogueUnusable, match=r"network file system \(nfs4\).*paths.data"):
        Catalogue.open(path)


def test_new_database_is_readable_by_owner_and_group_only(path):
    old = os.umask(0)
    try:
        Catalogue.open(path).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_durability_is_set(path):
    with Catalogue.open(path) as catalogue:
        values = {
            name: catalogue._db.conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}


def test_damaged_page_is_found_at_start(path):
    fill(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(20, size // 4096, 5):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    with pytest.raises(CatalogueDamaged, match=r"catalogue\.sqlite-wal"):
        Catalogue.open(path)


def test_file_that_is_no_database_is_damaged(path):
    path.parent.mkdir()
    path.write_bytes(b"SIMPLE  =                    T" * 500)
    with pytest.raises(CatalogueDamaged, match="Move it aside"):
        Catalogue.open(path)


def test_truncated_database_is_damaged(path):
    fill(path)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CatalogueDamaged):
        Catalogue.open(path)


def test_directory_in_place_of_the_database_is_named(path):
    path.mkdir(parents=True)
    with pytest.raises(CatalogueUnusable, match=r"catalogue\.sqlite: cannot be written"):
        Catalogue.open(path)


def test_reader_sees_what_the_writer_commits(path):
    with Catalogue.open(path) as writer, Catalogue.open(path, read_only=True) as reader:
        assert reader.frame_rows() == []
        writer.add_frames([taken(frame("a"))], NOW)
        assert len(reader.frame_rows()) == 1


def test_reader_cannot_write(path):
    fill(path, 1)
    with Catalogue.open(path, read_only=True) as reader, pytest.raises(CatalogueUnusable, match="readonly"):
        reader.add_event("info", "test", "", "", NOW)


def test_reader_without_database_says_so(path):
    with pytest.raises(CatalogueUnusable, match="no database yet"):
        Catalogue.open(path, read_only=True)


def test_immutable_reader_leaves_no_file_behind(path):
    fill(path, 1)
    with Catalogue.open(path, read_only=True, immutable=True) as reader:
        assert len(reader.frame_rows()) == 1
        assert [found.name for found in path.parent.iterdir()] == ["catalogue.sqlite"]


def test_odd_characters_in_the_path_of_the_database_open(tmp_path):
    path = tmp_path / "50% ? #1 ü" / "catalogue.sqlite"
    fill(path, 1)
    with Catalogue.open(path, read_only=True) as reader:
        assert len(reader.frame_rows()) == 1


def test_error_inside_a_transaction_undoes_all_of_it(path):
    with Catalogue.open(path) as catalogue:
        with pytest.raises(ZeroDivisionError):
            add_and_fail(catalogue, "a")
        assert catalogue.frame_rows() == []


def test_error_inside_an_inner_transaction_undoes_only_that(path):
    with Catalogue.open(path) as catalogue:
        with catalogue.transaction():
            catalogue.add_frames([taken(frame("a"))], NOW)
            with pytest.raises(ZeroDivisionError):
                add_and_fail(catalogue, "b")
        assert len(catalogue.frame_rows()) == 1


def test_lock_of_another_program_is_busy_and_nothing_is_lost(path):
    with Catalogue.open(path) as catalogue:
        catalogue._db.conn.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CatalogueBusy, match="nothing was changed") as caught:
            catalogue.add_frames([taken(frame("a"))], NOW)
        assert not caught.value.disk_full
        other.rollback()
        other.close()
        catalogue.add_frames([taken(frame("a"))], NOW)
        assert len(catalogue.frame_rows()) == 1


def test_full_disk_is_told_apart_and_undoes_the_change(path):
    with Catalogue.open(path) as catalogue:
        pages = catalogue._db.conn.execute("PRAGMA page_count").fetchone()[0]
        catalogue._db.conn.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(CatalogueBusy) as caught:
            catalogue.add_frames([taken(frame(f"frame {n}")) for n in range(300)], NOW)
        assert caught.value.disk_full
        assert catalogue.frame_rows() == []


def test_acknowledged_frames_survive_a_kill(path):
    program = (
        "import os, sys; from pathlib import Path; from ingestd.doors.catalogue import Catalogue;"
        "from tests.doors.catalogue_samples import NOW, frame, taken;"
        "catalogue = Catalogue.open(Path(sys.argv[1]));"
        "catalogue.add_frames([taken(frame('a'))], NOW);"
        "catalogue._db.conn.execute('BEGIN IMMEDIATE');"
        "catalogue.add_frames([taken(frame('b'))], NOW); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, cwd=root, env=os.environ)
    assert done.returncode == -9
    with Catalogue.open(path) as catalogue:
        assert [row["frame_id"] for row in catalogue.frame_rows()] == [frame("a").frame_id]
