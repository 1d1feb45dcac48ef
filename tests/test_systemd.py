"""The units in systemd/, judged by systemd's own programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "systemd"
UNITS = ("ingestd.service", "ingestd@.service")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package systemd)")
    return found


def copy_with_existing_program(unit: str, folder: Path) -> Path:
    """Return a copy whose ExecStart= names a program that exists: ingestd itself is not installed where tests run."""
    text, changed = re.subn(
        r"^ExecStart=\S+", "ExecStart=/bin/true", (FOLDER / unit).read_text("utf-8"), flags=re.MULTILINE
    )
    assert changed == 1
    copy = folder / unit
    copy.write_text(text, "utf-8")
    return copy


def directives(unit: str) -> list[str]:
    lines = (FOLDER / unit).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("unit", UNITS)
def test_verify_finds_nothing(unit: str, tmp_path: Path) -> None:
    copy = copy_with_existing_program(unit, tmp_path)
    done = subprocess.run(
        [program("systemd-analyze"), "verify", copy], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_verify_would_find_a_misspelt_directive(tmp_path: Path) -> None:
    copy = copy_with_existing_program("ingestd.service", tmp_path)
    copy.write_text(copy.read_text("utf-8").replace("WatchdogSec=", "WatchDogSecs="), "utf-8")
    done = subprocess.run(
        [program("systemd-analyze"), "verify", copy], capture_output=True, text=True, check=False, timeout=60
    )
    assert "WatchDogSecs" in done.stderr


@pytest.mark.parametrize("unit", UNITS)
def test_exposure_is_at_most_one_and_a_half(unit: str, tmp_path: Path) -> None:
    copy = copy_with_existing_program(unit, tmp_path)
    command = [program("systemd-analyze"), "security", "--offline=true", "--no-pager", "--threshold=15", copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= 1.5
    assert done.returncode == 0, "systemd-analyze compares with the threshold 15 itself (tenths)"


def test_a_night_ends_neither_by_a_limit_nor_in_a_loop() -> None:
    # 2 and 75 are the exit statuses of wrong settings and of a held lock: a restart would not help.
    wanted = {
        "Type=notify",
        "WatchdogSec=120",
        "Restart=always",
        "RestartSec=5",
        "StartLimitIntervalSec=0",
        "RestartPreventExitStatus=2 75",
        "OOMPolicy=continue",
        "TimeoutStopSec=15",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "StateDirectory=ingestd",
        "WorkingDirectory=/var/lib/ingestd",
    }
    assert wanted <= set(directives("ingestd.service"))


def test_workers_may_limit_themselves() -> None:
    # setrlimit and prlimit belong to @resources: denied, a worker could not bound its memory.
    denied = [line for line in directives("ingestd.service") if line.startswith("SystemCallFilter=~")]
    assert denied == ["SystemCallFilter=~@privileged"]


def test_the_template_equals_the_service_but_for_its_names() -> None:
    expected = [
        line.replace("/etc/ingestd/config.toml", "/etc/ingestd/%i.toml")
        .replace("/var/lib/ingestd", "/var/lib/ingestd-%i")
        .replace("Directory=ingestd", "Directory=ingestd-%i")
        for line in directives("ingestd.service")
        if not line.startswith("Description=")
    ]
    assert [line for line in directives("ingestd@.service") if not line.startswith("Description=")] == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="creating users and giving files away needs root")
def test_user_and_directories_are_made_as_the_service_needs_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for command in (
        [program("systemd-sysusers"), f"--root={tmp_path}", FOLDER / "ingestd.sysusers"],
        [program("systemd-tmpfiles"), f"--root={tmp_path}", "--create", FOLDER / "ingestd.tmpfiles"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
    name, _, uid, gid, _, home, shell = (tmp_path / "etc/passwd").read_text("ascii").strip().split(":")
    assert (name, home, shell) == ("ingestd", "/var/lib/ingestd", "/usr/sbin/nologin")
    found = {}
    for folder in ("etc/ingestd", "var/lib/ingestd", "var/lib/ingestd/incoming"):
        status = (tmp_path / folder).stat()
        found[folder] = status.st_uid, status.st_gid, oct(status.st_mode & 0o7777)
    assert found == {
        "etc/ingestd": (0, int(gid), "0o750"),
        "var/lib/ingestd": (int(uid), int(gid), "0o750"),
        "var/lib/ingestd/incoming": (int(uid), int(gid), "0o2770"),
    }


def test_kernel_settings_name_what_the_kernel_has() -> None:
    lines = [line for line in (FOLDER / "ingestd.sysctl").read_text("ascii").splitlines() if line and line[0] != "#"]
    values = {name.strip(): int(value) for name, value in (line.split("=") for line in lines)}
    assert sorted(values) == [f"fs.inotify.max_{what}" for what in ("queued_events", "user_instances", "user_watches")]
    for name in values:
        assert (Path("/proc/sys") / name.replace(".", "/")).exists()
    # A backfill of 100,000 files at once must fit into the queue of events.
    assert values["fs.inotify.max_queued_events"] >= 100_000


def test_the_libraries_need_no_writable_and_executable_memory() -> None:
    # MemoryDenyWriteExecute= in the unit; the kernel offers the same to a process since Linux 6.3 (PR_SET_MDWE = 65).
    program_text = (
        "import ctypes, mmap, sys\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)\n"
        "try: mmap.mmap(-1, 4096, prot=7)\n"
        "except PermissionError: pass\n"
        "else: sys.exit('writable and executable memory was granted')\n"
        "import astropy.io.fits, ccdproc, numpy, prometheus_client, sqlite_utils, watchdog.observers\n"
        "assert (numpy.ones((300, 300)) @ numpy.ones((300, 300)))[0, 0] == 300\n"
        "observer = watchdog.observers.Observer()\n"
        "observer.schedule(watchdog.events.FileSystemEventHandler(), '.')\n"
        "observer.start(); observer.stop(); observer.join()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program_text], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    assert done.returncode == 0, done.stderr
