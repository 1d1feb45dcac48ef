"""The real process: start, stop, signals, lock, notifications, health and metrics, and the commands beside it."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from ingestd.records import Kind
from tests.flow.observatory import sha256, tree, write_night, write_shot

ROOT = Path(__file__).parents[1]
CONFIG = """\
[arrival]
settle_s = 0.1
settle_closed_s = 0.05
scan_interval_s = {scan_interval_s}

[masters]
quiet_s = 0.3

[reduction]
again_s = 0.0

[limits]
min_free_bytes = 0

[workers]
processes = 1

[web]
enabled = {enabled}
port = {port}

[[camera]]
name = "test"
directories = ["incoming"]
"""
FRAME_FIELDS = {
    "frame_id",
    "path",
    "kind",
    "kind_source",
    "state",
    "reason",
    "camera",
    "exposure_s",
    "ccd_temp_c",
    "filter_name",
    "obs_start",
    "product",
}
MASTER_FIELDS = {
    "master_id",
    "kind",
    "camera",
    "configuration",
    "exposure_s",
    "ccd_temp_c",
    "filter_name",
    "members",
    "grade",
    "path",
    "current",
}
QA_FIELDS = {
    "metric",
    "value",
    "unit",
    "error",
    "camera",
    "kind",
    "filter_name",
    "plane",
    "frame_id",
    "master_id",
    "time",
}


def until(predicate, seconds=20.0):
    """Return what a predicate says as soon as it is true; fail after a deadline."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := predicate()):
        assert time.monotonic() < end, f"not within {seconds:g} s"
        pause.wait(0.02)
    return found


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """A directory with settings, and the daemon that runs on it."""

    def __init__(self, directory, *, web=False, scan_interval_s=0.5):
        self.directory = directory
        self.incoming, self.data = directory / "incoming", directory / "data"
        self.incoming.mkdir(parents=True)
        self.port = free_port() if web else 0
        self.config = directory / "config.toml"
        self.write_config(CONFIG.format(enabled=str(web).lower(), port=self.port, scan_interval_s=scan_interval_s))
        self.messages: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._address = f"ingestd-test-{os.getpid()}-{id(self)}"
        self._socket.bind("\0" + self._address)
        self._socket.setblocking(False)

    def write_config(self, text):
        self.config.write_text(text)

    @property
    def environment(self):
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(self):
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingestd", "run", "--config", "config.toml"],
                cwd=self.directory,
                env={**self.environment, "NOTIFY_SOCKET": "@" + self._address},
                stdout=log,
                stderr=log,
            )
        until(lambda: "READY=1" in self.heard() or self.process.poll() is not None)
        assert self.process.poll() is None, self.log()

    def heard(self):
        """Return all lines that the service manager was told, in order."""
        try:
            while True:
                self.messages += self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return self.messages

    def stop(self):
        """Stop by SIGTERM; return the exit status and the seconds that it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(30)
        return status, time.monotonic() - begun

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._socket.close()

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def run(self, *arguments):
        """Run a command on the same settings."""
        return subprocess.run(
            [sys.executable, "-m", "ingestd", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *arguments):
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def get(self, path):
        """Return status and text of a page; status 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def products(self):
        return sorted(self.data.glob("reduced/**/*.fits"))

    def is_done(self):
        """Return whether the science frames are done and nothing is due."""
        found = self.run("status", "--json")
        if found.returncode:
            return False
        status = json.loads(found.stdout)
        return bool(status["frames"]) and not status["queue_depth"] and not status["arrivals"]

    def has_worked(self):
        """Return whether there is a product and nothing is due."""
        return self.products() and self.is_done()


@pytest.fixture
def service(tmp_path):
    found = Service(tmp_path)
    yield found
    found.close()
    if found.process is not None:
        assert "Traceback" not in found.log()


@pytest.fixture
def web_service(tmp_path):
    found = Service(tmp_path, web=True)
    yield found
    found.close()
    if found.process is not None:
        assert "Traceback" not in found.log()


# --- start and stop ---------------------------------------------------------------------------------------------------


def test_the_service_manager_hears_ready_then_progress_then_stopping(service):
    service.start()
    until(lambda: service.heard().count("WATCHDOG=1") >= 3)
    assert service.heard().index("READY=1") < service.heard().index("WATCHDOG=1")
    assert "STOPPING=1" not in service.heard()
    assert service.stop()[0] == 0
    assert service.heard().index("STOPPING=1") > service.heard().index("WATCHDOG=1")


def test_a_service_manager_that_does_not_read_stops_nothing(tmp_path):
    service = Service(tmp_path)
    try:
        service.start()
        write_night(service.incoming)
        until(service.products)  # without a word being read from the socket
        status, seconds = service.stop()
        assert status == 0
        assert seconds < 10.0
    finally:
        service.close()


def test_progress_is_reported_while_there_is_nothing_to_do(service):
    service.start()
    until(lambda: "WATCHDOG=1" in service.heard())
    before = service.heard().count("WATCHDOG=1")
    until(lambda: service.heard().count("WATCHDOG=1") > before, seconds=5.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_daemon_with_status_zero(service, number):
    service.start()
    service.process.send_signal(number)
    assert service.process.wait(10) == 0


def test_sigterm_in_the_middle_of_work_leaves_nothing_half_written(service):
    service.start()
    write_night(service.incoming, lights=12)
    until(service.products)
    status, seconds = service.stop()
    assert status == 0
    assert seconds < 10.0
    assert list(service.data.rglob("*.tmp")) == []
    with closing(sqlite3.connect(service.data / "catalogue.sqlite")) as db:
        recorded = dict(db.execute("SELECT path, sha256 FROM reductions UNION SELECT path, sha256 FROM masters"))
    assert recorded == {
        str(path.relative_to(service.data)): sha256(path)
        for folder in ("masters", "reduced")
        for path in (service.data / folder).rglob("*.fits")
    }
    assert service.run("scan", "--quiet").returncode == 0
    assert {frame["state"] for frame in service.json("frames", "--kind", "light")} == {"done"}


def test_sigterm_during_the_start_ends_it(service):
    with (service.directory / "log").open("ab") as log:
        command = [sys.executable, "-m", "ingestd", "run", "--config", "config.toml"]
        service.process = subprocess.Popen(
            command, cwd=service.directory, env=service.environment, stdout=log, stderr=log
        )
    until((service.data / "ingestd.lock").exists)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10) in (0, -signal.SIGTERM)


def test_a_killed_daemon_leaves_a_lock_that_the_next_one_takes(service):
    service.start()
    service.process.kill()
    service.process.wait()
    service.messages.clear()
    service.start()
    assert service.stop()[0] == 0


# --- one daemon -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "scan"])
def test_a_second_process_is_refused_with_the_pid_of_the_first(service, command):
    service.start()
    second = service.run(command)
    assert second.returncode == 75
    assert re.search(rf"\b{service.process.pid}\b", second.stderr)
    assert "Traceback" not in second.stderr


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "scan", "status"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[arrival]\nsetle_s = 1.0\n[[camera]]\nname = 'a'\n", "arrival.setle_s"),
        ("[arrival]\nsettle_s = -1\n[[camera]]\nname = 'a'\n", "arrival.settle_s"),
        ("this is not TOML", "TOML"),
        ("", "camera"),
    ],
    ids=["unknown key", "out of range", "not TOML", "empty"],
)
def test_invalid_settings_end_with_status_2_and_name_the_key(service, command, text, said):
    service.write_config(text)
    done = service.run(command)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not service.data.exists()


def test_missing_settings_end_with_status_2(service):
    assert service.run("run", "--config", "nowhere.toml").returncode == 2


def test_a_bad_file_at_sighup_keeps_the_old_settings_and_says_so(service):
    service.start()
    good = service.config.read_text()
    service.write_config(good.replace("quiet_s", "quite_s"))
    service.process.send_signal(signal.SIGHUP)
    until(lambda: "masters.quite_s" in service.log())
    assert service.process.poll() is None
    write_night(service.incoming)
    until(service.products)


def test_a_good_file_at_sighup_applies(service):
    service.start()
    write_night(service.incoming, biases=2, evening_darks=0, flats=0, lights=0)
    until(service.is_done)
    assert service.json("masters") == []
    service.write_config(service.config.read_text() + "[masters.bias]\nminimum = 2\n")
    service.process.send_signal(signal.SIGHUP)
    until(lambda: [row["members"] for row in service.json("masters")] == [2])


def test_a_directory_added_at_sighup_is_watched(service):
    service.start()
    (service.directory / "more").mkdir()
    write_night(service.directory / "more")
    service.write_config(service.config.read_text().replace('["incoming"]', '["incoming", "more"]'))
    service.process.send_signal(signal.SIGHUP)
    until(service.has_worked)


# --- arrival ----------------------------------------------------------------------------------------------------------


def test_a_frame_is_reduced_soon_after_it_was_written_and_not_at_the_next_scan(tmp_path):
    service = Service(tmp_path, scan_interval_s=600.0)
    try:
        service.start()
        until(lambda: "WATCHDOG=1" in service.heard())
        write_shot(service.incoming, Kind.LIGHT, 1, exposure_s=60.0, name="light.fit")
        until(service.products, seconds=15.0)
    finally:
        service.close()


def test_the_watched_directory_is_only_read(service):
    write_night(service.incoming)
    before = tree(service.incoming)
    service.start()
    until(service.has_worked)
    service.stop()
    assert tree(service.incoming) == before


def test_a_missing_directory_is_waited_for_and_ready_tells(web_service):
    service = web_service
    service.incoming.rmdir()
    service.start()
    status, text = until(lambda: (answer := service.get("/ready"))[0] and answer)
    assert status == 503
    assert str(service.incoming) in text
    assert service.get("/live")[0] == 200
    service.incoming.mkdir()
    until(lambda: service.get("/ready")[0] == 200)
    write_night(service.incoming)
    until(service.products)


def test_a_directory_that_comes_back_is_watched_again(web_service):
    service = web_service
    service.start()
    until(lambda: service.get("/ready")[0] == 200)
    service.incoming.rmdir()
    until(lambda: service.get("/ready")[0] == 503)
    service.incoming.mkdir()
    until(lambda: service.get("/ready")[0] == 200)
    write_night(service.incoming)
    until(service.has_worked)


# --- metrics ----------------------------------------------------------------------------------------------------------


def value_of(text, name):
    """Return the first value of a metric in an exposition, or None."""
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return None if found is None else float(found[1])


def test_metrics_hold_the_quality_figures_also_right_after_a_restart(web_service):
    service = web_service
    service.start()
    write_night(service.incoming, biases=5)
    until(service.has_worked)
    name = "ingestd_read_noise_electrons"
    measured = until(lambda: value_of(service.get("/metrics")[1], name))
    # 7.5 e- from 4 differences of 12,288 pixels: relative error 1 / sqrt(2 * 4 * 12288) = 0.32 %, five of them
    assert measured == pytest.approx(7.5, rel=0.016)
    assert service.stop()[0] == 0
    for path in service.incoming.iterdir():
        path.unlink()
    service.messages.clear()
    service.start()
    assert until(lambda: value_of(service.get("/metrics")[1], name)) == measured


def test_metrics_count_frames_jobs_and_what_is_due(web_service):
    service = web_service
    service.start()
    write_night(service.incoming)
    until(service.has_worked)

    def frames_by_kind():
        text = service.get("/metrics")[1]
        return {
            kind: sum(
                float(n)
                for n in re.findall(rf'^ingestd_frames{{[^}}]*kind="{kind}"[^}}]*}} (\S+)$', text, re.MULTILINE)
            )
            for kind in ("bias", "dark", "flat", "light")
        }

    until(lambda: frames_by_kind() == {"bias": 3, "dark": 3, "flat": 3, "light": 1})
    assert value_of(service.get("/metrics")[1], "ingestd_queue_depth") == 0
    assert value_of(service.get("/metrics")[1], "ingestd_watched_roots_present") == 1


def test_a_port_in_use_stops_no_frame(tmp_path):
    service = Service(tmp_path, web=True)
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", service.port))
        other.listen()
        try:
            service.start()
            write_night(service.incoming)
            until(service.products)
            assert service.stop()[0] == 0
        finally:
            service.close()


# --- commands beside it -----------------------------------------------------------------------------------------------


def test_scan_then_every_list_has_the_promised_fields(service):
    write_night(service.incoming)
    (service.incoming / "growing.fits").write_bytes(b"SIMPLE  =                    T")
    done = service.run("scan", "--quiet")
    assert done.returncode == 0, done.stderr
    frames = service.json("frames")
    assert len(frames) == 3 + 3 + 3 + 1 + 1
    assert all(set(row) >= FRAME_FIELDS for row in frames)
    (arriving,) = [row for row in frames if row["frame_id"] is None]
    assert arriving["state"] == "waiting"
    assert arriving["path"].endswith("growing.fits")
    (light,) = [row for row in frames if row["kind"] == "light"]
    assert (light["state"], light["reason"], light["camera"], light["exposure_s"]) == ("done", "reduced", "test", 60.0)
    assert (light["filter_name"], light["obs_start"][:19]) == ("V", "2025-03-01T20:30:00")
    assert (service.data / light["product"]).is_file()
    masters = service.json("masters")
    assert sorted(row["kind"] for row in masters) == ["bias", "dark", "flat"]
    assert all(set(row) >= MASTER_FIELDS for row in masters)
    assert all(row["current"] is True and row["members"] == 3 for row in masters)
    figures = service.json("qa")
    assert all(set(row) >= QA_FIELDS for row in figures)
    assert {"read_noise_adu", "bias_level_adu", "sky_level_adu"} <= {row["metric"] for row in figures}
    assert all((row["frame_id"] is None) != (row["master_id"] is None) for row in figures)


def test_status_names_the_daemon_and_what_is_due(service):
    service.start()
    write_night(service.incoming)
    until(service.has_worked)
    status = service.json("status")
    assert status["daemon_pid"] == service.process.pid
    assert status["queue_depth"] == 0
    assert str(service.process.pid) in service.run("status").stdout
    service.stop()
    assert service.json("status")["daemon_pid"] is None


@pytest.mark.parametrize("command", ["status", "frames", "masters", "qa", "explain x.fits"])
def test_a_list_of_nothing_says_how_to_begin(service, command):
    done = service.run(*command.split())
    assert done.returncode == 1
    assert "ingestd run" in done.stderr
    assert "Traceback" not in done.stderr


def test_explain_tells_where_a_field_came_from_and_why_a_master_was_chosen(service):
    write_night(service.incoming)
    service.run("scan", "--quiet")
    text = service.run("explain", "M13_V_60s_20250301_203000.fit").stdout
    assert "IMAGETYP" in text
    assert "scaled down" in text.replace("_", " ")
    (found,) = service.json("explain", "M13_V_60s_20250301_203000.fit")
    assert found["state"] == "done"
    assert service.run("explain", "nowhere.fit").returncode == 1


def test_requeue_works_with_and_without_a_daemon(service):
    write_night(service.incoming)
    service.run("scan", "--quiet")
    assert service.run("requeue", "M13_V_60s_20250301_203000.fit").returncode == 0
    assert service.json("status")["queue"]["lights"] == 1
    again = service.run("scan", "--quiet").stderr
    assert "Unchanged: M13_V_60s_20250301_203000.fit: the best masters give the same product" in again
    service.start()
    until(service.is_done)
    done = service.run("requeue", "--all")
    assert done.returncode == 0, done.stderr
    until(service.is_done)
    refused = service.run("requeue", "nowhere.fit")
    assert refused.returncode == 1
    assert "nowhere.fit" in refused.stderr


def test_the_config_may_stand_before_the_command(service):
    assert service.run("--config", "config.toml", "config", "check").returncode == 0
    assert service.run("config", "check", "--config", "config.toml").returncode == 0


def test_a_damaged_database_is_moved_aside_and_made_again(service):
    write_night(service.incoming)
    service.run("scan", "--quiet")
    before = {(row["frame_id"], row["state"], row["product"]) for row in service.json("frames")}
    path = service.data / "catalogue.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    path.write_bytes(bytes(content))
    service.start()
    until(service.is_done, seconds=30.0)
    assert list(service.data.glob("catalogue.sqlite.damaged-*"))
    assert {(row["frame_id"], row["state"], row["product"]) for row in service.json("frames")} == before
