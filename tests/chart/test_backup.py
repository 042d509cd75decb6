"""Backups: the chart's objects for them, and its two scripts on a real Postgres."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from support.apiserver import manifest
from support.chassis import eventually
from support.network import proxy

from oms_contracts.topics import SERVICES
from oms_servers.postgres import binaries

SCRIPTS = Path(__file__).parents[2] / "charts" / "oms" / "files" / "backup"
EMBEDDED = {"database.embedded.backup.enabled": True}
CNPG = {"database.mode": "cnpg", "database.cnpg.backup": {"enabled": True, "objectStore": "store"}}

Script = Callable[..., str]


@pytest.fixture
def script(database_url: str, tmp_path: Path) -> Script:
    """Return a function that runs one of the scripts as the chart's Job does, for one service."""
    (uris := tmp_path / "uris").mkdir()
    (uris / "order").write_text(database_url)
    (tmp_path / "backup").mkdir()

    def run(name: str, **more: str) -> str:
        done = subprocess.run(
            ["bash", SCRIPTS / name],
            env=environment(tmp_path, **more),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (urlsplit(database_url).password or "-") not in done.stdout
        return done.stdout

    return run


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a Job, with its volumes in this folder."""
    given = {"BACKUPS": str(folder / "backup"), "URIS": str(folder / "uris"), "SERVICES": "order", "KEEP_DAYS": "7"}
    return {**os.environ, "PATH": f"{binaries()}:{os.environ['PATH']}", **given, **more}


def rows(database_url: str) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT id FROM kept ORDER BY id").fetchall()


def execute(database_url: str, *statements: str) -> None:
    with psycopg.connect(database_url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_database_is_restored_to_the_state_of_its_dump(script: Script, database_url: str) -> None:
    execute(database_url, "CREATE TABLE kept (id int PRIMARY KEY)", "INSERT INTO kept SELECT generate_series(1, 3)")
    execute(database_url, "CREATE SCHEMA another", "CREATE TABLE another.one AS SELECT 7 AS id")
    script("backup.sh")
    execute(database_url, "CREATE SCHEMA of_a_later_release", "DELETE FROM another.one")
    execute(database_url, "DELETE FROM kept", "INSERT INTO kept VALUES (9)", "CREATE TABLE of_a_later_release (id int)")
    script("restore.sh")
    assert rows(database_url) == [(1,), (2,), (3,)]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT to_regclass('of_a_later_release')").fetchone() == (None,)
        assert connection.execute("SELECT to_regnamespace('of_a_later_release')").fetchone() == (None,)
        assert connection.execute("SELECT id FROM another.one").fetchall() == [(7,)]
    script("backup.sh", KEEP_DAYS="1")  # a restored database can be dumped and restored again
    script("restore.sh")
    assert rows(database_url) == [(1,), (2,), (3,)]


@pytest.mark.parametrize("name", ["backup.sh", "restore.sh"])
def test_a_backup_waits_for_a_database_that_cannot_be_reached_yet(
    script: Script, database_url: str, tmp_path: Path, name: str
) -> None:
    """A pod cannot reach it before network policies take effect for the pod."""
    script("backup.sh")
    with (
        socket.create_server(("127.0.0.1", 0)) as nobody,
        proxy(f"tcp://127.0.0.1:{nobody.getsockname()[1]}") as network,
        ThreadPoolExecutor() as aside,
    ):
        (tmp_path / "uris" / "order").write_text(network.url(database_url))
        running = aside.submit(script, name)
        nobody.settimeout(30.0)
        nobody.accept()[0].close()
        network.redirect(urlsplit(database_url).port or 5432)
        running.result(60.0)


def test_a_restore_that_fails_changes_nothing(script: Script, database_url: str, tmp_path: Path) -> None:
    execute(database_url, "CREATE TABLE kept (id int PRIMARY KEY)", "INSERT INTO kept VALUES (1)")
    script("backup.sh")
    dump = next((tmp_path / "backup").glob("*/order.dump"))
    dump.write_bytes(dump.read_bytes()[:-200])
    with pytest.raises(AssertionError):
        script("restore.sh")
    assert rows(database_url) == [(1,)]


def test_a_backup_leaves_another_one_intact_that_is_under_way(
    script: Script, database_url: str, tmp_path: Path
) -> None:
    """That happens if `backup-now` runs when the CronJob is due."""
    with (
        socket.create_server(("127.0.0.1", 0)) as nobody,
        proxy(f"tcp://127.0.0.1:{nobody.getsockname()[1]}") as network,
        ThreadPoolExecutor() as aside,
    ):
        (tmp_path / "uris" / "sms").write_text(network.url(database_url))
        first = aside.submit(script, "backup.sh", SERVICES="order sms")
        nobody.settimeout(30.0)
        nobody.accept()[0].close()  # the first has dumped order, and waits for sms
        begun = int(time.time())
        eventually(lambda: int(time.time()) > begun)  # backups are named by the second
        script("backup.sh")
        network.redirect(urlsplit(database_url).port or 5432)
        first.result(60.0)
    kept = [sorted(file.name for file in folder.iterdir()) for folder in (tmp_path / "backup").iterdir()]
    assert sorted(kept) == [["order.dump"], ["order.dump", "sms.dump"]]


def test_a_backup_removes_what_a_killed_one_has_left(script: Script, database_url: str, tmp_path: Path) -> None:
    """If the kernel kills one that runs out of memory, the Job's next pod starts seconds later, and needs the space."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        silent = urlsplit(database_url)._replace(netloc=f"127.0.0.1:{nobody.getsockname()[1]}")
        (tmp_path / "uris" / "sms").write_text(silent.geturl())
        with subprocess.Popen(
            ["bash", SCRIPTS / "backup.sh"],
            env=environment(tmp_path, SERVICES="order sms"),
            stdout=subprocess.PIPE,
            start_new_session=True,
        ) as killed:
            nobody.settimeout(30.0)
            nobody.accept()[0].close()  # it has dumped order, and waits for sms
            os.killpg(killed.pid, signal.SIGKILL)
            killed.communicate(timeout=30.0)  # no process of it is left
    begun = int(time.time())
    eventually(lambda: int(time.time()) > begun)  # backups are named by the second
    assert [file.name for file in (tmp_path / "backup").glob(".partial*/*.dump")] == ["order.dump"]
    script("backup.sh")
    (whole,) = (tmp_path / "backup").iterdir()
    assert [file.name for file in whole.iterdir()] == ["order.dump"]


def test_a_backup_that_fails_leaves_nothing(script: Script, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "uris" / "sms").write_text(urlsplit(database_url)._replace(path="/none").geturl())
    with pytest.raises(AssertionError):
        script("backup.sh", SERVICES="order sms")
    assert list((tmp_path / "backup").iterdir()) == []


def test_dumps_that_are_too_old_are_removed_except_for_the_newest(
    script: Script, database_url: str, tmp_path: Path
) -> None:
    for name, days in {"20200101T000000Z": 9, "20200102T000000Z": 6}.items():
        (old := tmp_path / "backup" / name).mkdir()
        at = old.stat().st_mtime - days * 86400
        os.utime(old, (at, at))
    for name in (".partial", ".partial-a7X2kd"):  # of aborted runs
        (ended := tmp_path / "backup" / name).mkdir()
        os.utime(ended, (ended.stat().st_mtime - 6 * 3600,) * 2)
    script("backup.sh")
    left = sorted(one.name for one in (tmp_path / "backup").iterdir())
    assert left[0] == "20200102T000000Z"
    assert len(left) == 2


def test_a_cron_job_dumps_every_database_as_its_service(render: Any) -> None:
    rendered = render(EMBEDDED)
    spec = rendered.of("CronJob")["oms-backup"]["spec"]
    pod = spec["jobTemplate"]["spec"]["template"]["spec"]
    env = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert set(env["SERVICES"].split()) == set(SERVICES)
    uris = next(one for one in pod["volumes"] if one["name"] == "uris")["projected"]["sources"]
    assert {one["secret"]["name"] for one in uris} == {f"oms-{service}-database" for service in SERVICES}
    assert {one["secret"]["items"][0]["path"] for one in uris} == set(SERVICES)
    assert spec["concurrencyPolicy"] == "Forbid"
    claim = rendered.of("PersistentVolumeClaim")["oms-backup"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_volume_of_the_backups_is_not_part_of_the_release_which_would_wait_for_it(installed: Any) -> None:
    enabled = {"database__embedded__backup__enabled": True}
    claim = installed(**enabled).of("PersistentVolumeClaim")["oms-backup"]
    assert claim["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    there = manifest("PersistentVolumeClaim", "oms-backup")
    assert not installed(there, **enabled).of("PersistentVolumeClaim")  # a hook would be deleted and recreated


def test_a_backup_may_reach_the_databases_and_nothing_may_reach_the_backup(render: Any) -> None:
    policies = render(EMBEDDED).of("NetworkPolicy")
    peer = {"app.kubernetes.io/component": "backup"}
    for service in SERVICES:
        (rule,) = policies[f"oms-{service}-postgres"]["spec"]["ingress"]
        assert [one for one in rule["from"] if peer.items() <= one["podSelector"]["matchLabels"].items()]
    assert policies["oms-backup"]["spec"]["ingress"] == []
    assert len(render().of("NetworkPolicy")["oms-sms-postgres"]["spec"]["ingress"][0]["from"]) == 1


def test_clusters_are_backed_up_by_the_plugin_or_as_snapshots(render: Any, helm: Any) -> None:
    plugin = render(CNPG)
    for service in SERVICES:
        spec = plugin.of("ScheduledBackup")[f"oms-{service}-postgres"]["spec"]
        assert spec["cluster"]["name"] == f"oms-{service}-postgres"
        assert (spec["method"], spec["backupOwnerReference"]) == ("plugin", "none")
        assert spec["pluginConfiguration"] == {"name": "barman-cloud.cloudnative-pg.io"}
        (used,) = plugin.of("Cluster")[f"oms-{service}-postgres"]["spec"]["plugins"]
        assert used["parameters"] == {"barmanObjectName": "store"}
    snapshots = render(
        {
            "database.mode": "cnpg",
            "database.cnpg.backup": {"enabled": True, "method": "volumeSnapshot", "snapshotClass": "fast"},
        }
    )
    assert snapshots.of("ScheduledBackup")["oms-sms-postgres"]["spec"]["method"] == "volumeSnapshot"
    volume = snapshots.of("Cluster")["oms-sms-postgres"]["spec"]["backup"]["volumeSnapshot"]
    assert volume == {"className": "fast", "snapshotOwnerReference": "none"}
    assert "objectStore" in helm.refusal({"database.mode": "cnpg", "database.cnpg.backup": {"enabled": True}})


@pytest.mark.parametrize("kind", ["Cluster", "KafkaTopic"])
def test_resources_with_data_outlive_the_release(render: Any, kind: str) -> None:
    for keep in (True, False):
        for one in render({"database.mode": "cnpg", "keepData": keep}).of(kind).values():
            annotations = one["metadata"].get("annotations", {})
            assert (annotations.get("helm.sh/resource-policy") == "keep") == keep
            assert ("argocd.argoproj.io/sync-options" in annotations) == keep


def test_volumes_stay_when_a_service_is_removed(render: Any) -> None:
    for one in render({"kafka.mode": "embedded"}).of("StatefulSet").values():
        retention = one["spec"]["persistentVolumeClaimRetentionPolicy"]
        assert retention == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_production_acknowledges_no_commit_that_is_on_one_instance_only(render: Any) -> None:
    rendered = render(file=SCRIPTS.parents[1] / "values-production.yaml")
    for cluster in rendered.of("Cluster").values():
        spec = cluster["spec"]
        assert spec["instances"] == 3
        assert spec["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
        assert spec["postgresql"]["parameters"]["max_connections"] == "200"  # merged, not replaced
        assert spec["enablePDB"] is True
    assert len(rendered.of("ScheduledBackup")) == 5


def test_production_spreads_the_instances_of_each_cluster_over_zones(render: Any) -> None:
    clusters = render(file=SCRIPTS.parents[1] / "values-production.yaml").of("Cluster").values()
    assert len(clusters) == 5
    for cluster in clusters:
        (spread,) = cluster["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "topology.kubernetes.io/zone"
        assert spread["matchLabelKeys"] == ["cnpg.io/cluster"]  # each cluster separately, by the operator's labels
        assert spread["labelSelector"] == {"matchLabels": {"cnpg.io/podRole": "instance"}}


def test_a_cluster_accepts_whatever_else_cloudnativepg_supports(render: Any) -> None:
    more = {"walStorage": {"size": "5Gi"}, "storage": {"size": "7Gi"}, "primaryUpdateMethod": "switchover"}
    spec = render({"database.mode": "cnpg", "database.cnpg.spec": more}).of("Cluster")["oms-order-postgres"]["spec"]
    assert more.items() <= spec.items()
    assert spec["bootstrap"]["initdb"]["owner"] == "order"


def test_a_lone_instance_does_not_block_draining_its_node(render: Any) -> None:
    assert {one["spec"]["enablePDB"] for one in render({"database.mode": "cnpg"}).of("Cluster").values()} == {False}


def test_no_data_is_upgraded_to_another_major_version_unasked(helm: Any, refused: Any) -> None:
    assert "Postgres 19" in helm.refusal({"database.embedded.image": "registry.example.com:5000/postgres:19.1"})
    theirs = manifest("Cluster", "oms-order-postgres", "postgresql.cnpg.io/v1", status={"image": "pg:17.5"}, spec={})
    cnpg = {"database__mode": "cnpg"}
    assert "database.cnpg.image=pg:17.5 keeps it" in refused(theirs, **cnpg)
    assert refused(theirs, **cnpg, database__cnpg__image="pg:17.6") == ""
    assert refused(theirs, **cnpg, database__cnpg__acceptMajorUpgrade=True) == ""
    assert refused({**theirs, "status": {"image": "pg:18.1"}}, **cnpg) == ""
    other = {"services__order__database__spec__imageName": "pg:19.1"}
    assert "pg:19.1 would upgrade" in refused({**theirs, "status": {"image": "pg:18.1"}}, **cnpg, **other)
    assert refused(theirs, **cnpg, services__order__database__spec__imageName="pg:17.6") == ""


def test_several_instances_have_a_budget_wherever_their_number_is_set(render: Any) -> None:
    values = {"database.mode": "cnpg", "services.order.database.spec": {"instances": 3}}
    values["services.sms.database.spec"] = {"instances": 3, "enablePDB": False}
    clusters = render(values).of("Cluster")
    budgets = {name: clusters[f"oms-{name}-postgres"]["spec"]["enablePDB"] for name in ("order", "sms", "email")}
    assert budgets == {"order": True, "sms": False, "email": False}


def test_a_cluster_can_be_recovered_from_its_archive(render: Any) -> None:
    recovery = {"bootstrap": {"recovery": {"source": "archive", "database": "order", "owner": "order"}}}
    values = {"database.mode": "cnpg", "services.order.database": {"spec": recovery}}
    clusters = render(values).of("Cluster")
    assert clusters["oms-order-postgres"]["spec"]["bootstrap"] == recovery["bootstrap"]
    assert "initdb" in clusters["oms-sms-postgres"]["spec"]["bootstrap"]


@pytest.mark.parametrize("way", ["recovery", "pg_basebackup"])
def test_a_recovered_cluster_has_the_database_and_the_secret_that_its_service_uses(render: Any, way: str) -> None:
    values = {
        "database.mode": "cnpg",
        "services.order.database": {"existingSecret": "mine", "spec": {"bootstrap": {way: {"source": "archive"}}}},
        "services.sms.database.spec": {"bootstrap": {way: {"source": "archive", "database": "texts"}}},
    }
    clusters = render(values).of("Cluster")
    found = {name: clusters[f"oms-{name}-postgres"]["spec"]["bootstrap"] for name in ("order", "sms")}
    order = {"source": "archive", "database": "order", "owner": "order", "secret": {"name": "mine"}}
    assert found == {"order": {way: order}, "sms": {way: {"source": "archive", "database": "texts", "owner": "sms"}}}
