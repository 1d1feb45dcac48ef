"""The schema: created whole, migrated in one transaction with a backup, refused when it is newer or not ours."""

import sqlite3
import subprocess

import pytest
from sqlite_utils import Database, Migrations

from ingestd.doors.catalogue import Catalogue
from ingestd.doors.schema import MIGRATIONS, create_catalogue, declared, migrate
from ingestd.errors import CatalogueUnusable
from tests.doors.catalogue_samples import NOW, frame, taken

_QA = "metric value unit error camera kind filter_name plane channel frame_id master_id time"
_MASTER = "master_id kind camera configuration exposure_s ccd_temp_c filter_name"
_FRAME = "exposure_s ccd_temp_c filter_name obs_start"
VIEWS = {
    "frame_list": f"frame_id path kind kind_source state reason camera {_FRAME} product",
    "master_list": f"{_MASTER} members grade path current",
    "qa_list": _QA,
    "qa_latest": _QA,
    "current_masters": f"{_MASTER} night first_obs last_obs members grade path sha256",
    "last_night": "night obs_start kind camera object_name filter_name exposure_s ccd_temp_c state reason detail "
    "frame_id",
    "uncalibrated": f"frame_id path state reason detail camera configuration {_FRAME} night",
}


def two_versions(second) -> Migrations:
    """Return the migrations of a program one version later, whose second migration does what is given."""
    later = Migrations("ingestd")
    later(name="0001_path_of_a_frame")(create_catalogue)
    later(name="0002_later")(second)
    return later


def dump(path) -> list[str]:
    with sqlite3.connect(path) as conn:
        text = list(conn.iterdump())
    conn.close()
    return text


@pytest.fixture
def path(tmp_path):
    """A catalogue of the first version that holds a frame."""
    path = tmp_path / "catalogue.sqlite"
    with Catalogue.open(path) as catalogue:
        catalogue.add_frames([taken(frame("a"))], NOW)
    return path


@pytest.mark.parametrize("view", VIEWS)
def test_view_has_exactly_its_columns_in_plain_sqlite(path, view):
    conn = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = conn.execute(f"SELECT * FROM {view}")  # noqa: S608 - a constant of this test
    assert [column[0] for column in found.description] == VIEWS[view].split()
    found.fetchall()
    conn.close()


def test_views_are_readable_by_the_sqlite3_program(path):
    try:
        done = subprocess.run(
            ["sqlite3", "-readonly", str(path), "SELECT kind, state FROM frame_list"], capture_output=True, check=True
        )
    except FileNotFoundError:
        pytest.skip("the program sqlite3 is not installed")
    assert done.stdout == b"bias|waiting\n"


def test_every_table_is_strict(path):
    db = Database(path)
    tables = [name for name in db.table_names() if not name.startswith("_")]
    assert len(tables) == 19
    assert all(db[name].strict for name in tables)
    db.close()


def test_opening_again_applies_nothing(path):
    db = Database(path)
    assert migrate(db, path) == []
    db.close()


def test_older_schema_is_migrated_after_a_backup(path):
    before = dump(path)
    db = Database(path)
    later = two_versions(lambda db: db.execute("ALTER TABLE frames ADD COLUMN airmass REAL"))
    assert migrate(db, path, later) == ["0002_later"]
    assert "airmass" in db["frames"].columns_dict
    assert db["frames"].count == 1
    db.close()
    backup = path.with_name("catalogue.sqlite.before-0002_later")
    assert dump(backup) == before
    assert backup.stat().st_mode & 0o777 == 0o640


def test_empty_older_schema_needs_no_backup(tmp_path):
    path = tmp_path / "catalogue.sqlite"
    Catalogue.open(path).close()
    db = Database(path)
    migrate(db, path, two_versions(lambda db: db.execute("ALTER TABLE frames ADD COLUMN airmass REAL")))
    db.close()
    assert [found.name for found in tmp_path.iterdir()] == ["catalogue.sqlite"]


def test_failed_migration_changes_nothing(path):
    def fails_half_way(db):
        db.execute("ALTER TABLE frames ADD COLUMN airmass REAL")
        db.execute("INSERT INTO no_such_table VALUES (1)")

    before = dump(path)
    db = Database(path)
    with pytest.raises(sqlite3.OperationalError, match="no_such_table"):
        migrate(db, path, two_versions(fails_half_way))
    db.close()
    assert dump(path) == before


def test_several_migrations_are_one_transaction(path):
    later = two_versions(lambda db: db.execute("ALTER TABLE frames ADD COLUMN airmass REAL"))
    later(name="0003_fails")(lambda db: db.execute("INSERT INTO no_such_table VALUES (1)"))
    before = dump(path)
    db = Database(path)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, path, later)
    db.close()
    assert dump(path) == before


def test_newer_schema_is_refused_unchanged(path):
    db = Database(path)
    later = two_versions(lambda db: db.execute("ALTER TABLE frames ADD COLUMN airmass REAL"))
    migrate(db, path, later)
    db.close()
    before = path.read_bytes()
    with pytest.raises(CatalogueUnusable, match=r"newer version.*0002_later"):
        Catalogue.open(path)
    with pytest.raises(CatalogueUnusable, match="newer version"):
        Catalogue.open(path, read_only=True)
    assert path.read_bytes() == before


def test_database_of_another_program_is_refused_unchanged(tmp_path):
    path = tmp_path / "catalogue.sqlite"
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE stars (name TEXT)")
    conn.commit()
    conn.close()
    before = path.read_bytes()
    with pytest.raises(CatalogueUnusable, match="'stars'"):
        Catalogue.open(path)
    assert path.read_bytes() == before


def test_program_knows_its_migrations_in_order():
    assert declared(MIGRATIONS) == ["0001_path_of_a_frame"]
