"""Downloads, against a mirror that can be broken."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.serving import serving

from oms_servers import folders, jars
from oms_servers.errors import DiskFull, DownloadFailed, reporting_full_disk
from oms_servers.jars import Jar

CONTENT = b"not really a jar" * 1000
JAR = Jar(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "org/example/one/1.0/one-1.0.jar")


@dataclass
class Mirror:
    """A repository that answers each request with the next of its answers, the last one again and again."""

    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, CONTENT)])
    requests: list[str] = field(default_factory=list)

    def next(self, path: str) -> tuple[int, bytes]:
        self.requests.append(path)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Handler(BaseHTTPRequestHandler):
    def __init__(self, mirror: Mirror, *rest: object) -> None:
        self.mirror = mirror
        super().__init__(*rest)  # type: ignore[arg-type] # the server hands over what it takes

    def do_GET(self) -> None:
        status, content = self.mirror.next(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it overrides
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mirror]:
    """A mirror of one jar, and an empty cache."""
    mirror = Mirror()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, mirror))
    monkeypatch.setenv("OMS_MAVEN_URL", f"http://127.0.0.1:{server.server_port}/maven2/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(jars, "locked", lambda: [JAR])
    monkeypatch.setattr(jars, "PAUSE", 0.01)
    with serving(server):
        yield mirror


def test_a_jar_is_fetched_once(mirror: Mirror) -> None:
    folder = jars.jars()
    assert jars.jars() == folder
    assert (folder / JAR.name).read_bytes() == CONTENT
    assert mirror.requests == [f"/maven2/{JAR.path}"]


def test_progress_says_how_much_has_come(mirror: Mirror) -> None:
    seen: list[tuple[int, int]] = []
    jars.jars(lambda came, total: seen.append((came, total)))
    assert seen[-1] == (JAR.size, JAR.size)


def test_a_broken_answer_is_asked_for_again(mirror: Mirror) -> None:
    mirror.answers = [(503, b"busy"), (200, CONTENT[:-5] + b"wrong"), (200, CONTENT)]
    folder = jars.jars()
    assert (folder / JAR.name).read_bytes() == CONTENT


def test_a_jar_that_is_not_the_locked_one_is_never_kept(mirror: Mirror) -> None:
    mirror.answers = [(200, CONTENT[:-5] + b"wrong")]
    with pytest.raises(DownloadFailed, match=r"one-1\.0\.jar is not the file that kafka\.lock names, after 4 attempts"):
        jars.jars()
    assert list((folders.caches() / "kafka").iterdir()) == []


def test_a_mirror_without_the_jar_is_reported_with_what_to_do(mirror: Mirror) -> None:
    mirror.answers = [(404, b"")]
    with pytest.raises(DownloadFailed, match=r"\(HTTP 404\), after 4 attempts\. Check the network"):
        jars.jars()


def test_a_cached_jar_of_the_wrong_size_is_fetched_again(mirror: Mirror) -> None:
    file = jars.jars() / JAR.name
    file.write_bytes(CONTENT[:100])
    jars.jars()
    assert file.read_bytes() == CONTENT


def test_many_processes_may_ask_at_once_and_one_fetches(mirror: Mirror) -> None:
    threads = [threading.Thread(target=jars.jars) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mirror.requests) == 1


def test_a_full_disk_is_reported_by_what_was_being_written() -> None:
    def fill() -> None:
        with reporting_full_disk("the jars"), Path("/dev/full").open("w") as full:
            full.write("x")

    with pytest.raises(DiskFull, match=r"could not write the jars\. Free some space"):
        fill()


def test_the_lock_file_names_kafka_with_digests() -> None:
    locked = jars.locked()
    assert any(jar.name == "kafka_2.13-4.3.1.jar" for jar in locked)
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in locked)
