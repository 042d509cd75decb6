"""The reloader of `skaffold dev`, without a cluster."""

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.chassis import eventually

WITHIN = 30.0  # seconds, for a busy machine

SERVICE = """
import sys, time
from pathlib import Path
from demo.version import VERSION
with Path("OUT").open("a") as out:
    out.write(f"{VERSION} {sys.argv[1:]}\\n")
while sys.argv[-1] == "serve":
    time.sleep(0.05)
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a service as in an image."""
    package = tmp_path / "image/demo"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "main.py").write_text(SERVICE.replace("OUT", str(tmp_path / "out")))
    (package / "version.py").write_text("VERSION = 1\n")
    return tmp_path / "image"


@pytest.fixture
def starts(tmp_path: Path) -> Callable[[], list[str]]:
    """Return a function that returns what the service wrote at each start."""

    def read() -> list[str]:
        out = tmp_path / "out"
        return out.read_text().splitlines() if out.exists() else []

    return read


@contextmanager
def reloading(root: Path, image: Path, folder: Path, command: str = "serve") -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "OMS_RELOAD_FROM": str(image), "OMS_RELOAD_FOLDER": str(folder)}
    arguments = [sys.executable, str(root / "scripts/reload.py"), "-m", "demo.main", command]
    with subprocess.Popen(arguments, env=environment, cwd=image) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)


def test_a_changed_file_restarts_the_service(
    root: Path, image: Path, tmp_path: Path, starts: Callable[[], list[str]]
) -> None:
    with reloading(root, image, tmp_path / "dev"):
        eventually(lambda: starts() == ["1 ['serve']"], WITHIN)
        (tmp_path / "dev/demo/version.py").write_text("VERSION = 22\n")
        eventually(lambda: starts() == ["1 ['serve']", "22 ['serve']"], WITHIN)


def test_a_service_that_died_of_a_typo_starts_when_it_is_fixed(
    root: Path, image: Path, tmp_path: Path, starts: Callable[[], list[str]]
) -> None:
    with reloading(root, image, tmp_path / "dev") as process:
        eventually(lambda: len(starts()) == 1, WITHIN)
        (tmp_path / "dev/demo/version.py").write_text("VERSION = \n")
        eventually(lambda: not psutil.Process(process.pid).children(), WITHIN)
        (tmp_path / "dev/demo/version.py").write_text("VERSION = 333\n")
        eventually(lambda: starts()[-1] == "333 ['serve']", WITHIN)


def test_synchronised_files_survive_a_restart_of_the_container(
    root: Path, image: Path, tmp_path: Path, starts: Callable[[], list[str]]
) -> None:
    (tmp_path / "dev/demo").mkdir(parents=True)
    (tmp_path / "dev/demo/version.py").write_text("VERSION = 4\n")
    with reloading(root, image, tmp_path / "dev"):
        eventually(lambda: starts() == ["4 ['serve']"], WITHIN)


def test_a_terminated_service_ends_and_so_does_the_reloader(
    root: Path, image: Path, tmp_path: Path, starts: Callable[[], list[str]]
) -> None:
    with reloading(root, image, tmp_path / "dev") as process:
        eventually(lambda: len(starts()) == 1, WITHIN)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM


def test_a_command_other_than_serve_runs_once_from_the_image(
    root: Path, image: Path, tmp_path: Path, starts: Callable[[], list[str]]
) -> None:
    with reloading(root, image, tmp_path / "dev", "migrate") as process:
        assert process.wait(10) == 0
    assert starts() == ["1 ['migrate']"]
    assert not (tmp_path / "dev").exists()


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_a_development_image_takes_a_changed_file_although_its_root_is_read_only(
    root: Path, docker: Callable[..., str]
) -> None:
    base, image = "oms/base:reload-test", "oms/sms:reload-test"
    docker("build", "--quiet", "--file=Dockerfile.base", "--target=development", f"--tag={base}", ".", timeout=300.0)
    docker("build", "--quiet", "--file=services/sms/Dockerfile", f"--build-arg=BASE={base}", f"--tag={image}", ".")
    hardened = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--network=none")
    settings = {
        "OMS_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c",
        "OMS_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "OMS_SMS_URL": "http://127.0.0.1:1/sms",
        "OMS_SMS_FROM": "OMS",
    }
    variables = [f"--env={name}={value}" for name, value in settings.items()]
    container = docker("run", "--detach", *hardened, *variables, image).strip()
    try:
        eventually(lambda: '"started"' in docker("logs", container), within=2 * WITHIN)
        source = (root / "services/sms/oms_sms/main.py").read_text()
        synchronise(
            container, "tmp/dev/oms_sms/main.py", source.replace("if __name__", 'print("changed")\n\nif __name__')
        )
        eventually(lambda: "changed" in docker("logs", container).splitlines(), within=2 * WITHIN)
    finally:
        docker("rm", "--force", container)
        docker("image", "rm", "--force", image, base)


def synchronise(container: str, path: str, text: str) -> None:
    """Copy a file as Skaffold does: by the container's own tar, with the rights of its user."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(path)
        entry.size = len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    command = ["docker", "exec", "--interactive", container, "tar", "xmf", "-", "-C", "/", "--no-same-owner"]
    subprocess.run(command, input=archive.getvalue(), check=True)
