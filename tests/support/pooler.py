"""A pooler in front of a test's database: PgBouncer, or if that is not installed, an imitation of its sessions."""

import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from psycopg.pq import PGconn

from oms_servers.folders import give_away, run_as, unprivileged
from oms_servers.ports import free_port, is_taken
from oms_servers.testing import temporary_folder
from support.chassis import eventually

Pooler = Callable[
    ..., AbstractContextManager[str]
]  # yields the URL through the pooler; `mode` and `reset` are as in PgBouncer

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
RESET = "DISCARD ALL"
PARAMETERS = (b"server_version", b"client_encoding", b"standard_conforming_strings", b"in_hot_standby")
STARTUP, TERMINATE, READY, IDLE = 3 << 16, b"X", b"Z", b"I"
ENDS = {b"Q", b"S"}  # after which a client waits until the server is ready


@contextmanager
def pgbouncer(url: str, mode: str, reset: str = RESET) -> Iterator[str]:
    """Run PgBouncer with its defaults, or skip the test if it is not installed."""
    if PROGRAM is None:
        pytest.skip("there is no PgBouncer here")
    port, parts = free_port(), urlsplit(url)
    with temporary_folder() as folder:
        (folder / "pgbouncer.ini").write_text(
            f"""[databases]
{parts.path[1:]} = host={parts.hostname} port={parts.port} user={parts.username} password={parts.password or ""}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_reset_query = {reset}
"""
        )
        give_away(folder)
        command = [PROGRAM, "-q", str(folder / "pgbouncer.ini")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, **run_as(unprivileged())) as process:
            try:
                eventually(lambda: is_taken(port))
                yield _through(url, port)
            finally:
                process.kill()


@contextmanager
def imitated(url: str, mode: str, reset: str = RESET) -> Iterator[str]:
    """Run a pooler that gives each client, or each transaction, the session that was returned last."""
    sessions = _Sessions(url, mode, reset)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_accept, args=(listening, sessions), daemon=True)
        thread.start()
        yield _through(url, listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    sessions.close()


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()


class _Session:
    """A session with Postgres: the driver logs in, and the rest is forwarded unchanged."""

    def __init__(self, url: str) -> None:
        self.driver = PGconn.connect(url.encode())
        self.socket = socket.socket(fileno=self.driver.socket)
        self.socket.setblocking(True)

    def close(self) -> None:
        self.socket.detach()
        self.driver.finish()


class _Sessions:
    """The sessions that are currently unused."""

    def __init__(self, url: str, mode: str, reset: str) -> None:
        self._url, self.is_shared, self._reset = url, mode == "transaction", reset
        self._free: list[_Session] = []

    def take(self) -> _Session:
        return self._free.pop() if self._free else _Session(self._url)

    def give_back(self, session: _Session) -> None:
        self._free.append(session)

    def reset(self, session: _Session) -> None:
        """Reset the session of a client that has gone."""
        if self._reset:
            session.driver.exec_(self._reset.encode())
        self.give_back(session)

    def close(self) -> None:
        for session in self._free:
            session.close()


def _accept(listening: socket.socket, sessions: _Sessions) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_serve, args=(client, sessions), daemon=True).start()


def _serve(client: socket.socket, sessions: _Sessions) -> None:
    session = None
    with client:
        _greet(client, sessions)
        while (message := _message(client))[:1] != TERMINATE:
            session = session or sessions.take()
            session.socket.sendall(message)
            if message[:1] in ENDS and _answer(session.socket, client) == IDLE and sessions.is_shared:
                sessions.give_back(session)
                session = None
    if session is not None:
        sessions.reset(session)


def _greet(client: socket.socket, sessions: _Sessions) -> None:
    """Accept any client, and send it the parameters that Postgres reports."""
    while struct.unpack("!ii", _read(client, 8))[1] != STARTUP:
        client.sendall(b"N")  # no encryption
    client.recv(65536)  # its startup message
    session = sessions.take()
    known = [(name, session.driver.parameter_status(name) or b"") for name in PARAMETERS]
    sessions.give_back(session)
    statuses = [_framed(b"S", name + b"\0" + value + b"\0") for name, value in known]
    client.sendall(b"".join((_framed(b"R", struct.pack("!i", 0)), *statuses, _framed(READY, IDLE))))


def _answer(server: socket.socket, client: socket.socket) -> bytes:
    """Forward a server's answer, and return the state of its transaction."""
    while True:
        message = _message(server)
        client.sendall(message)
        if message[:1] == READY:
            return message[-1:]


def _message(sender: socket.socket) -> bytes:
    """Return the next message, or that of a client that disconnects if there is none."""
    head = _read(sender, 5)
    return head + _read(sender, struct.unpack("!i", head[1:])[0] - 4) if head else TERMINATE


def _read(sender: socket.socket, length: int) -> bytes:
    """Return this many bytes, or none once the connection has ended."""
    got = b""
    while len(got) < length and (more := sender.recv(length - len(got))):
        got += more
    return got


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
