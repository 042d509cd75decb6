"""The workflow of a release: its base images are pinned, and nothing is signed that was not scanned."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'a' * 64}"
JOBS = ["base", "images"]
with_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not on the PATH")


@pytest.fixture(scope="module")
def jobs() -> Any:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    return workflow["jobs"]


def uses(step: dict[str, Any]) -> str:
    """Return what a step does: its action without the version, or its first words."""
    return str(step.get("uses", "")).partition("@")[0] or " ".join(step["run"].split()[:2])


def step(job: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in job["steps"] if name in (one.get("id"), uses(one)))
    return dict(found)


@pytest.mark.parametrize("name", JOBS)
def test_an_image_is_scanned_and_attested_before_it_is_signed(jobs: Any, name: str) -> None:
    order = [uses(one) for one in jobs[name]["steps"]]
    wanted = ["docker/build-push-action", "anchore/scan-action", "actions/attest-build-provenance", "cosign sign"]
    assert [one for one in order if one in wanted] == wanted
    assert {"packages", "id-token", "attestations"} <= {
        key for key, value in jobs[name]["permissions"].items() if value == "write"
    }
    scan = step(jobs[name], "anchore/scan-action")["with"]
    assert scan.get("fail-build", True) is True
    for one in ("anchore/scan-action", "actions/attest-build-provenance"):
        assert "steps.image.outputs.digest" in str(step(jobs[name], one)["with"])


@pytest.mark.parametrize("name", JOBS)
def test_an_image_is_for_two_architectures_and_says_what_is_in_it(jobs: Any, name: str) -> None:
    build = step(jobs[name], "image")["with"]
    assert build["platforms"].split(",") == ["linux/amd64", "linux/arm64"]
    assert build["sbom"] is True
    assert build["provenance"] == "mode=max"


def test_every_public_image_is_pinned(jobs: Any) -> None:
    """Each build argument of Dockerfile.base that names an image gets the digest that `prepare` found."""
    images = re.findall(r"^ARG (\w+_IMAGE)=", (ROOT / "Dockerfile.base").read_text(), re.MULTILINE)
    given = dict(line.split("=", 1) for line in step(jobs["base"], "image")["with"]["build-args"].split("\n") if line)
    assert {name: given[name] for name in images} == {
        "PYTHON_IMAGE": "${{ needs.prepare.outputs.python }}",
        "UV_IMAGE": "${{ needs.prepare.outputs.uv }}",
    }
    assert step(jobs["images"], "image")["with"]["build-args"] == "BASE=${{ steps.base.outputs.image }}"


def run(script: str, answer: str, folder: Path, **environment: str) -> tuple[int, str]:
    """Run a step's script with a registry that gives this answer. Return its exit code and its output."""
    (folder / "docker").write_text(f"#!/bin/sh\n{answer}\n")
    for program in ("cosign", "gh"):
        (folder / program).write_text('#!/bin/sh\necho "$@" >>"$VERIFIED"\n')
    for program in ("docker", "cosign", "gh"):
        (folder / program).chmod(0o755)
    output = folder / "output"
    output.touch()
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=ROOT,
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(output),
            "VERIFIED": str(folder / "verified"),
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/release.yml@refs/tags/v1.2.3",
            **environment,
        },
        check=False,
        timeout=60,
    )
    return done.returncode, output.read_text()


@with_jq
def test_a_tag_becomes_the_digest_that_the_registry_has(jobs: Any, tmp_path: Path) -> None:
    code, written = run(step(jobs["prepare"], "bases")["run"], f"echo '\"{DIGEST}\"'", tmp_path)
    assert code == 0
    python, uv = written.splitlines()
    assert re.fullmatch(rf"python=python:[\w.-]+@{DIGEST}", python)
    assert re.fullmatch(rf"uv=ghcr.io/astral-sh/uv:[\w.-]+@{DIGEST}", uv)


@with_jq
@pytest.mark.parametrize("answer", ["exit 1", "echo null", "echo '\"\"'"])
def test_without_a_digest_nothing_is_built(jobs: Any, tmp_path: Path, answer: str) -> None:
    code, written = run(step(jobs["prepare"], "bases")["run"], answer, tmp_path)
    assert code != 0
    assert written == ""


@with_jq
def test_a_service_is_built_on_the_base_that_this_release_has_signed(jobs: Any, tmp_path: Path) -> None:
    given = {"BASE": "ghcr.io/o/oms/base", "TAG": "1.2.3-demo"}
    code, written = run(step(jobs["images"], "base")["run"], f"echo '\"{DIGEST}\"'", tmp_path, **given)
    assert code == 0
    assert written.strip() == f"image=ghcr.io/o/oms/base@{DIGEST}"
    verified = (tmp_path / "verified").read_text()
    assert f"ghcr.io/o/oms/base@{DIGEST}" in verified
    assert "release.yml@refs/tags/v1.2.3" in verified


@pytest.mark.parametrize(("version", "prerelease"), [("1.2.3", "false"), ("1.2.3-rc.1", "true")])
def test_a_release_candidate_is_released_as_a_prerelease(
    jobs: Any, tmp_path: Path, version: str, prerelease: str
) -> None:
    (script,) = (one["run"] for one in jobs["chart"]["steps"] if "gh release create" in one.get("run", ""))
    code, _ = run(script, "exit 1", tmp_path, VERSION=version, GITHUB_REF_NAME=f"v{version}")
    assert code == 0
    assert f"create v{version} --verify-tag --prerelease={prerelease} " in (tmp_path / "verified").read_text()
