"""The operator's socket and the lock, between real processes and threads."""

import json
import os
import select
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingestd.doors.control import ControlServer, DataLock, lock_holder, send, server
from ingestd.errors import LockHeld

ROOM = Path(__file__).parents[2]
DEADLINE_S = 20.0


@contextmanager
def answering(path, answer):
    """Serve a socket in a thread, as the daemon does between its ticks."""
    control = ControlServer(path)
    stopping = threading.Event()

    def serve():
        while not stopping.is_set():
            select.select([control], [], [], 0.05)
            for request, reply in control.requests():
                reply(answer(request))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield control
    finally:
        stopping.set()
        thread.join()
        control.close()


def poll(control, count):
    """Return so many requests."""
    end = time.monotonic() + DEADLINE_S
    arrived = []
    while len(arrived) < count:
        assert time.monotonic() < end
        select.select([control], [], [], 0.1)
        arrived += control.requests()
    return arrived


def connect(path, data=b""):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(DEADLINE_S)
    client.connect(str(path))
    if data:
        client.sendall(data)
    return client


def answer_to(path, data):
    """Send raw bytes to a serving daemon and return its line."""
    with connect(path, data) as client, client.makefile("rb") as file:
        return json.loads(file.readline())


def test_request_and_answer(tmp_path):
    path = tmp_path / "control.sock"
    with answering(path, lambda request: {"ok": True, "echo": request}):
        odd = {"command": "requeue", "path": "/incoming/\udcff\n.fits", "number": 3, "list": [1.5, None, True]}
        assert send(path, odd, 5.0) == {"ok": True, "echo": odd}
        assert send(path, {}, 5.0) == {"ok": True, "echo": {}}


def test_answer_larger_than_any_buffer_arrives(tmp_path):
    path = tmp_path / "control.sock"
    with answering(path, lambda request: {"text": "x" * request["length"]}):
        assert len(send(path, {"length": 10_000_000}, 20.0)["text"]) == 10_000_000


def test_answer_may_come_at_a_later_tick(tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path) as control, connect(path, b'{"a": 1}\n') as client:
        [(request, reply)] = poll(control, 1)
        assert request == {"a": 1}
        assert control.requests() == []
        reply({"ok": True})
        control.requests()
        assert client.recv(100) == b'{"ok": true}\n'
        assert client.recv(100) == b""


def test_line_in_pieces_is_one_request(tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path) as control, connect(path, b'{"a"') as client:
        assert select.select([control], [], [], DEADLINE_S)[0]
        assert control.requests() == []
        assert select.select([control], [], [], DEADLINE_S)[0]  # accepted; now its first piece
        assert control.requests() == []
        client.sendall(b": 1}\n")
        [(request, _)] = poll(control, 1)
        assert request == {"a": 1}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"no json\n", "not a line of JSON"),
        (b"[1, 2]\n", "not a JSON object"),
        (b"\xff\xfe\n", "not a line of JSON"),
        (b"[" * 60_000 + b"\n", "not a line of JSON"),
        (b"x" * 70_000 + b"\n", "longer than 65536 bytes"),
        (b"x" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_what_is_no_request_is_refused(tmp_path, data, error):
    path = tmp_path / "control.sock"
    with answering(path, lambda _: {"ok": True}):
        answer = answer_to(path, data)
        assert answer["ok"] is False
        assert error in answer["error"]
        assert send(path, {}, 5.0) == {"ok": True}


def test_longest_request_is_taken(tmp_path):
    path = tmp_path / "control.sock"
    with answering(path, lambda request: {"length": len(request["text"])}):
        longest = (64 << 10) - len('{"text": ""}')
        assert send(path, {"text": "x" * longest}, 5.0) == {"length": longest}
        with pytest.raises(ValueError, match="too long"):
            send(path, {"text": "x" * (longest + 1)}, 5.0)


def test_slow_client_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "REQUEST_S", 0.1)
    path = tmp_path / "control.sock"
    with ControlServer(path) as control, connect(path, b'{"a"') as client:
        end = time.monotonic() + DEADLINE_S
        client.setblocking(False)
        while True:
            assert time.monotonic() < end
            control.requests()
            try:
                assert client.recv(10) == b""
                break
            except BlockingIOError:
                select.select([client], [], [], 0.05)


def test_client_that_hangs_up_before_the_answer_harms_nobody(tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path) as control:
        client = connect(path, b"{}\n")
        [(_, reply)] = poll(control, 1)
        client.close()
        reply({"text": "x" * 1_000_000})
        control.requests()
        assert control._connections == {}
        reply({"again": True})


def test_more_clients_than_places_wait_and_do_not_wake_the_daemon(tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path) as control:
        idle = [connect(path) for _ in range(server.MAX_CONNECTIONS)]
        while len(control._connections) < server.MAX_CONNECTIONS:
            assert select.select([control], [], [], DEADLINE_S)[0]
            control.requests()
        late = connect(path, b'{"late": true}\n')
        assert select.select([control], [], [], 0)[0] == []
        for client in idle:
            client.close()
        [(request, _)] = poll(control, 1)
        assert request == {"late": True}
        late.close()


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_socket_has_the_mode_asked_for(tmp_path, mode):
    before = os.umask(0)
    try:
        with ControlServer(tmp_path / "control.sock", mode=mode):
            assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == mode
    finally:
        os.umask(before)
    assert not (tmp_path / "control.sock").exists()


def test_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with answering(path, lambda _: {"ok": True}):
        assert send(path, {}, 5.0) == {"ok": True}


def test_living_socket_is_left_alone(tmp_path):
    path = tmp_path / "control.sock"
    with answering(path, lambda _: {"ok": True}):
        with pytest.raises(LockHeld, match="another process answers"):
            ControlServer(path)
        assert send(path, {}, 5.0) == {"ok": True}


def test_file_in_place_of_the_socket_is_left_alone(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        ControlServer(path)
    assert path.read_text() == "precious"


def test_closing_leaves_the_socket_of_a_successor(tmp_path):
    path = tmp_path / "control.sock"
    first = ControlServer(path)
    path.unlink()
    with answering(path, lambda _: {"ok": True}):
        first.close()
        assert send(path, {}, 5.0) == {"ok": True}


def test_path_longer_than_a_socket_address_works(tmp_path):
    directory = tmp_path.joinpath(*["a directory with a rather long name"] * 5)
    directory.mkdir(parents=True)
    path = directory / "control.sock"
    assert len(os.fsencode(path)) > 107
    with answering(path, lambda _: {"ok": True}):
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert send(path, {}, 5.0) == {"ok": True}
    assert not path.exists()


def test_name_longer_than_a_socket_address_is_an_error(tmp_path):
    with pytest.raises(OSError, match="too long"):
        ControlServer(tmp_path / ("x" * 110))


def test_no_daemon_no_answer(tmp_path):
    with pytest.raises(ConnectionError, match=r"none\.sock"):
        send(tmp_path / "none.sock", {}, 5.0)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with pytest.raises(ConnectionError, match="no answer"):
        send(tmp_path / "dead.sock", {}, 5.0)


def test_daemon_that_does_not_answer_in_time(tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path), pytest.raises(ConnectionError, match=r"within 0\.1 s"):
        send(path, {}, 0.1)


# --- the lock ---------------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from ingestd.doors.control import DataLock
DataLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(path):
    """Another process that holds the lock until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], cwd=ROOM, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_lock_names_its_holder_and_ends_with_it(tmp_path):
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    with holder(path) as process:
        with pytest.raises(LockHeld, match=f"process {process.pid}$"):
            DataLock(path).acquire()
        assert lock_holder(path) == process.pid
        process.kill()
        process.wait()
        with DataLock(path) as lock:
            assert lock_holder(path) == os.getpid()
            lock.acquire()  # once more does no harm
        assert lock_holder(path) is None
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0


def test_two_locks_in_one_process_exclude_each_other(tmp_path):
    with DataLock(tmp_path / "lock"), pytest.raises(LockHeld):
        DataLock(tmp_path / "lock").acquire()


def test_lock_is_not_inherited_by_children(tmp_path):
    lock = DataLock(tmp_path / "lock")
    lock.acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        assert lock_holder(tmp_path / "lock") is None
        child.kill()


def test_asking_for_the_holder_does_not_keep_a_daemon_out(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    stopping = threading.Event()

    def ask():
        while not stopping.is_set():
            lock_holder(path)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(50):
            with DataLock(path):
                pass
    finally:
        stopping.set()
        thread.join()


def test_link_in_place_of_the_lock_is_refused(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        DataLock(tmp_path / "lock").acquire()
    assert not (tmp_path / "elsewhere").exists()
