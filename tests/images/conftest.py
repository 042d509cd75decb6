"""Fixtures of Docker for the tests of the images."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from oms_contracts.topics import SERVICES

ROOT = Path(__file__).parents[2]
TAG = os.environ.get("OMS_TAG", "dev")
PRODUCTION = "production"

Docker = Callable[..., str]


def docker_answers() -> bool:
    """Whether Docker is running."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def docker() -> Docker:
    """Return a function that runs docker with these arguments and returns its output."""
    if not docker_answers():
        assert not os.environ.get("OMS_TOOLS_REQUIRED"), "Docker is required here and does not answer"
        pytest.skip("Docker does not answer")

    def run(*arguments: str, stdin: str | None = None, timeout: float = 120.0) -> str:
        done = subprocess.run(
            ["docker", *arguments], input=stdin, capture_output=True, text=True, timeout=timeout, cwd=ROOT, check=False
        )
        assert done.returncode == 0, f"docker {' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def images(docker: Docker) -> dict[str, str]:
    """Build the images that production runs, with their lists of contents in build/sbom. Return them by service."""
    return build(PRODUCTION, "--production", "--sbom")


@pytest.fixture(scope="session")
def demo_images(docker: Docker) -> dict[str, str]:
    """Do the same for images with the simulators, with which a cluster and compose.yaml need no providers."""
    return build(TAG, "--sbom")


def build(tag: str, *options: str) -> dict[str, str]:
    command = ["nice", "scripts/images.sh", *options]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"OMS_TAG": tag}, check=True)
    return {service: f"oms/{service}:{tag}" for service in SERVICES}


@pytest.fixture(params=SERVICES)
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    """Return each of the images that production runs."""
    return images[request.param]
