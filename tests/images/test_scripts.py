"""Scripts for Docker and clusters, run with fake programs that record their calls: each ends at the step that fails,
and needs nothing that macOS lacks."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ["images", "kind-up", "kind-down", "test-cluster", "test-cluster-long", "footprint", "chaos", "setup"]
# Features that bash 3.2 lacks, and programs that exist only on Linux.
ELSEWHERE = {
    *(r"\[-\d+\]", r"\b(mapfile|readarray)\b", r"\b(declare|local) -[A-Zgn]", r",,\}|\^\^\}", r"&>>|\|&"),
    *(r"\b(md5|sha\d+)sum\b", r"\b(readlink -f|realpath|nproc|xargs -r|sed -i|grep -P|date -d|stat -c)\b", "-printf "),
}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a script; `programs` is what each fake program does after its call is recorded."""

    def script(name: str, programs: dict[str, str], *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        (folder := tmp_path / "bin").mkdir(exist_ok=True)
        for program, does in programs.items():
            (file := folder / program).write_text(f'#!/bin/sh\necho "{program} $*" >>{tmp_path / "asked"}\n{does}\n')
            file.chmod(0o755)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("OMS_")}
        env = {**kept, "PATH": f"{folder}:{os.environ['PATH']}", **more}
        command = ["bash", str(ROOT / "scripts" / f"{name}.sh"), *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    return script


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_needs_nothing_that_macos_lacks(name: str) -> None:
    text = (ROOT / "scripts" / f"{name}.sh").read_text()
    assert not [found[0] for one in ELSEWHERE if (found := re.search(one, text))]


def test_every_image_is_built_under_the_name_of_its_folder(run: Run, tmp_path: Path) -> None:
    done = run("images", {"docker": ""}, OMS_TAG="t", OMS_REGISTRY="r.example.com")
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "asked").read_text()
    for dockerfile in (*ROOT.glob("services/*/Dockerfile"), ROOT / "packages" / "simulators" / "Dockerfile"):
        where = dockerfile.relative_to(ROOT)
        assert f"--file {where} --tag r.example.com/oms/{where.parent.name}:t" in asked


def cluster(docker: str) -> dict[str, str]:
    """Return programs for an existing cluster with an Ingress controller. Those that get input read it."""
    kubectl = "case $* in *--filename*) cat ;; *) echo there ;; esac"
    read = 'case $* in *--interactive*) cat >"$0.read" ;; esac'
    return {"docker": f"{read}\n{docker}", "kind": "echo oms", "kubectl": kubectl, "helm": "", "curl": "echo 200"}


def test_pods_are_named_by_the_images_that_they_run(run: Run, tmp_path: Path) -> None:
    done = run("kind-up", cluster('echo "sha256:7"'), OMS_SKIP_BUILD="1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"helm upgrade .*oms/images=\d+ ", (tmp_path / "asked").read_text())


def test_nothing_is_installed_without_its_images(run: Run, tmp_path: Path) -> None:
    done = run("kind-up", cluster('[ "$1" != image ]'), OMS_SKIP_BUILD="1")
    assert done.returncode != 0
    assert "helm upgrade" not in (tmp_path / "asked").read_text()


def test_a_chart_that_cannot_be_rendered_is_not_installed(run: Run, tmp_path: Path) -> None:
    programs = {**cluster("echo 1"), "helm": '[ "$1" != template ]'}
    assert run("kind-up", programs, OMS_SKIP_BUILD="1").returncode != 0
    assert "helm upgrade" not in (tmp_path / "asked").read_text()
