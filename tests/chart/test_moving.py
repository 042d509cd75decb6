"""Data moves from one mode of databases to another by the commands of docs/backup.md, on a real Postgres."""

import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.chassis import migrated

from oms_contracts.topics import SERVICES
from oms_servers.postgres import PostgresServer, binaries

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "oms"
PAGE = (ROOT / "docs" / "backup.md").read_text().split("## From one mode to another")[1]
# Programs that record their calls. A pod reaches the database of the latest mode only at its second attempt, because
# network policies refuse a pod that they have not seen yet.
PROGRAMS = """
helm() {
  echo "helm $*" >>asked
  case $* in *database.mode=*) touch moved ;; esac
}
kubectl() {
  echo "kubectl" $* >>asked
  case $* in
    *"get deployment"*) cat deployment ;;
    *apply*) rm -f seen && cat >pod ;;
    *" exec "*)
      if [ -e moved ]; then export OMS_DATABASE_URL=$NEW; else export OMS_DATABASE_URL=$OLD; fi
      sh -c "${@: -1}" ;;
  esac
}
"""


REFUSED_AT_FIRST = """#!/bin/sh
if [ {name} = pg_isready ] && [ ! -e seen ]; then touch seen && exit 2; fi
[ -e seen ] && exec {folder}/{name} "$@"
"""


def block(language: str) -> str:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found[0]


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """Return the values on the page that stop the services."""
    (file := tmp_path / "stopped.yaml").write_text(block("yaml"))
    return file


PRODUCTION = str(CHART / "values-production.yaml")
OWN = """
image: {registry: registry.example.com}
kafka: {mode: embedded}
networkPolicy: {kafkaFrom: [{namespaceSelector: {}}]}
serviceDefaults: {replicas: 3, autoscaling: {type: hpa}}
services: {sms: {replicas: 2, autoscaling: {type: none}}, email: {autoscaling: {type: keda}}}
"""


@pytest.mark.parametrize("mode", ["embedded", "cnpg"])
def test_no_service_runs_with_the_values_of_the_page(helm: Any, stopped: Path, tmp_path: Path, mode: str) -> None:
    (own := tmp_path / "values.yaml").write_text(OWN)
    for values in (PRODUCTION, str(own)):
        given = ["--values", values, f"--set=database.mode={mode},database.acceptEmpty=true", "--values", str(stopped)]
        rendered = helm.template("oms", str(CHART), *given)
        deployments = rendered.of("Deployment")
        assert {deployments[f"oms-{service}"]["spec"].get("replicas") for service in SERVICES} == {0}
        assert not rendered.of("ScaledObject")
        assert not rendered.of("HorizontalPodAutoscaler")


def test_everything_a_service_has_written_until_it_stopped_is_in_its_new_database(
    render: Any, postgres: PostgresServer, database_url: str, tool: Callable[[str], str], tmp_path: Path
) -> None:
    tool("jq")
    migrated(database_url, "oms_inventory").dispose()
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    (tmp_path / "deployment").write_text(json.dumps(render().of("Deployment")["oms-inventory"]))
    new = postgres.create_database(f"new_{uuid.uuid4().hex}")
    commands = block("bash").replace("order payment inventory sms email", "inventory")
    (path := tmp_path / "bin").mkdir()
    for name in ("pg_isready", "pg_dump", "pg_restore"):
        (program := path / name).write_text(REFUSED_AT_FIRST.format(name=name, folder=binaries()))
        program.chmod(0o755)
    env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "OLD": database_url, "NEW": new}
    done = subprocess.run(
        ["bash", "-uc", PROGRAMS + commands],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert " not " not in done.stdout, done.stderr
    with psycopg.connect(new) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    asked = (tmp_path / "asked").read_text().splitlines()
    steps = [line for line in asked if re.search("^helm|wait --for=delete| exec ", line)]
    order = ["stopped.yaml$", "--for=delete", "pg_dump", "mode=.*stopped.yaml$", "pg_restore", "acceptEmpty=true$"]
    assert len(steps) == len(order)
    assert all(re.search(step, line) for step, line in zip(order, steps, strict=True)), steps
    postgres.drop_database(new.rsplit("/", 1)[-1])


def test_the_pod_that_moves_data_may_reach_the_database_of_its_service(
    render: Any, tool: Callable[[str], str], tmp_path: Path
) -> None:
    tool("jq")
    deployment = render().of("Deployment")["oms-inventory"]
    (tmp_path / "deployment").write_text(json.dumps(deployment))
    function = block("bash").split("# 1. Stop.")[0]
    call = f"{PROGRAMS}{function}\nreached=true OLD=none with_database inventory true"
    subprocess.run(["bash", "-uc", call], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    pod = json.loads((tmp_path / "pod").read_text())
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert pod["metadata"]["labels"] == labels
    policies = {mode: render({"database.mode": mode}).of("NetworkPolicy") for mode in ("embedded", "cnpg")}
    for found in policies.values():
        rule = found["oms-inventory-postgres"]["spec"]["ingress"][0]
        assert any(one["podSelector"]["matchLabels"].items() <= labels.items() for one in rule["from"])
    (container,) = pod["spec"]["containers"]
    assert "OMS_DATABASE_URL" in {one["name"] for one in container["env"]}
    assert container["command"] == ["sleep", "infinity"]
