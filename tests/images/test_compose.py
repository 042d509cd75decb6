"""compose.yaml, as a user runs it except for its ports, which are free ones here."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import yaml
from support.chassis import eventually
from support.machine import slowdown

from oms_contracts.topics import SERVICES
from oms_platform.sample import ITEMS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

Docker = Callable[..., str]
Compose = Callable[..., str]

PORTS = """
services:
  order: {ports: !override ["127.0.0.1::9090", "127.0.0.1::9100"]}
  inventory: {ports: !override ["127.0.0.1::9090"]}
  mailcatcher: {ports: !override ["127.0.0.1::8025"]}
"""
ORDER = {
    "customer": {"name": "Anjana", "email": "anjana@example.com", "phoneNumber": "762222222"},
    "items": [{"id": "Item1", "quantity": 2}],
    "paymentDetails": {
        "name": "NGAS Subashana",
        "cardNumber": "4242424242424242",
        "expiryDate": "02/40",
        "cvv": "123",
    },
}


@pytest.fixture(scope="module")
def compose(docker: Docker, demo_images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Yield docker compose for a project of its own, which is up and ready."""
    assert demo_images
    override = tmp_path_factory.mktemp("compose") / "ports.yaml"
    override.write_text(PORTS)
    project = f"oms-test-{uuid4().hex[:8]}"

    def run(*arguments: str, timeout: float = 120.0) -> str:
        files = ("--file", "compose.yaml", "--file", str(override))
        return docker("compose", "--project-name", project, *files, *arguments, timeout=timeout)

    try:
        run("up", "--build", "--wait", "--wait-timeout", "240", timeout=400.0)
        yield run
    finally:
        run("down", "--volumes", "--timeout", "5")


def address(compose: Compose, service: str, port: int) -> str:
    return f"http://{compose('port', service, str(port)).strip()}"


def test_the_file_is_valid(docker: Docker, root: Path) -> None:
    found = json.loads(docker("compose", "config", "--format", "json"))["services"]
    plain = yaml.safe_load((root / "compose.yaml").read_text())["services"]
    assert found.keys() == plain.keys()
    assert found.keys() >= {*SERVICES, *(f"{service}-db" for service in SERVICES), "kafka", "mailcatcher"}


def test_its_catalogue_is_the_sample(root: Path) -> None:
    services = yaml.safe_load((root / "compose.yaml").read_text())["services"]
    assert json.loads(services["inventory"]["environment"]["OMS_CATALOGUE"]) == list(ITEMS)


def test_it_runs_the_same_as_a_cluster(docker: Docker, compose: Compose, demo_images: dict[str, str]) -> None:
    sums = ("find", "/app", "-type", "f", "-exec", "sha256sum", "{}", "+")
    for service, image in demo_images.items():
        container = json.loads(docker("inspect", compose("ps", "--quiet", service).strip()))[0]
        mine, theirs = (json.loads(docker("image", "inspect", one))[0] for one in (container["Image"], image))
        assert mine["RootFS"]["Layers"][:-1] == theirs["RootFS"]["Layers"][:-1]
        mine_sums, their_sums = (
            sorted(docker("run", "--rm", "--entrypoint", sums[0], one, *sums[1:]).splitlines())
            for one in (container["Image"], image)
        )
        assert mine_sums == their_sums
        assert container["Config"]["Entrypoint"] == theirs["Config"]["Entrypoint"]
        assert container["Config"]["Cmd"] == theirs["Config"]["Cmd"]


def test_an_order_is_confirmed_and_the_customer_is_notified(compose: Compose) -> None:
    with httpx2.Client(base_url=address(compose, "order", 9090), timeout=20.0) as client:

        def accepted() -> str | None:
            """Return the order's id, once the prices have arrived."""
            response = client.post("/order", json=ORDER)
            return str(response.json()["id"]) if response.status_code == 202 else None

        order = eventually(accepted, within=30.0)
        eventually(lambda: client.get(f"/order/{order}").json()["status"] == "CONFIRMED", within=60.0)
        assert order in [one["id"] for one in client.get("/order").json()]
    catcher = address(compose, "mailcatcher", 8025)

    def received() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx2.get(f"{catcher}/messages", params={"orderId": order}).json()
        return found

    eventually(lambda: sorted(message["kind"] for message in received()) == ["email", "sms"], within=30.0)


def test_every_container_of_ours_is_hardened(docker: Docker, compose: Compose) -> None:
    for service in SERVICES:
        container = json.loads(docker("inspect", compose("ps", "--quiet", service).strip()))[0]
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["CapDrop"] == ["ALL"]
        assert container["Config"]["User"] == "10001:10001"


def test_a_service_starts_in_under_two_seconds(docker: Docker, compose: Compose) -> None:
    container = compose("ps", "--quiet", "payment").strip()

    def start() -> float:
        """Return the seconds from the container's start until the service logs that it has started."""
        docker("restart", container)
        begun = json.loads(docker("inspect", container))[0]["State"]["StartedAt"]

        def started() -> str | None:
            lines = docker("logs", "--timestamps", "--since", begun, container).splitlines()
            return next((line.split()[0] for line in lines if '"started"' in line), None)

        said = eventually(started, within=30.0)
        assert said
        return (moment(said) - moment(begun)).total_seconds()

    # The shortest time is the service's own, but a busy machine stretches even that.
    assert min(start() for _ in range(3)) < 2.0 * slowdown()


def moment(text: str) -> datetime:
    """Parse Docker's time, which has more digits than a datetime."""
    whole, _, digits = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}").replace(tzinfo=UTC)


def test_it_stops_without_being_killed(docker: Docker, compose: Compose) -> None:
    compose("stop", "sms")
    container = compose("ps", "--all", "--quiet", "sms").strip()
    assert json.loads(docker("inspect", container))[0]["State"]["ExitCode"] == 0
    compose("start", "sms")
