"""Passwords are made once, by Helm or by a Job, and never changed."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.apiserver import ApiServer, Manifest, manifest
from support.serving import serving

from oms_contracts.topics import SERVICES

MAKE = Path(__file__).parents[2] / "charts" / "oms" / "files" / "secrets" / "make.py"
NAMES = {*(f"oms-{service}-database" for service in SERVICES), "oms-order", "oms-admin"}
EMBEDDED = {"kafka__mode": "embedded"}

Installed = Callable[..., Any]


def decoded(secret: Manifest) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


RELEASED = {"meta.helm.sh/release-name": "oms", "meta.helm.sh/release-namespace": "shop"}


def secret(name: str, annotations: dict[str, str] | None = None, **values: str) -> Manifest:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    return manifest("Secret", name, annotations=annotations or {}, labels=labels, data=data)


SMS = {"username": "sms", "password": "first", "uri": "postgresql://sms:first@oms-sms-postgres.shop.svc:5432/sms"}


def test_two_renderings_are_equal_and_contain_no_password(helm: Any, example: Path) -> None:
    first, second = (helm.run("template", "oms", str(MAKE.parents[2]), "-f", str(example)).stdout for _ in range(2))
    assert first == second
    assert "kind: Secret\n" not in first


def test_each_service_has_a_database_user_and_a_password_of_its_own(installed: Installed) -> None:
    found = installed().of("Secret")
    assert found.keys() == NAMES
    databases = {name: decoded(found[f"oms-{name}-database"]) for name in SERVICES}
    assert len({one["password"] for one in databases.values()}) == 5
    for service, one in databases.items():
        host = f"oms-{service}-postgres.shop.svc:5432"
        assert len(one["password"]) == 32
        assert one["uri"] == f"postgresql://{service}:{one['password']}@{host}/{service}"
    assert len(decoded(found["oms-order"])["OMS_FINGERPRINT_KEY"]) == 48
    assert len(decoded(found["oms-admin"])["token"]) == 48


def test_a_secret_is_not_part_of_the_release_so_that_no_rollback_or_uninstall_changes_it(
    installed: Installed,
) -> None:
    for one in installed().of("Secret").values():
        assert one["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_an_existing_secret_is_never_made_again(installed: Installed) -> None:
    first = list(installed().of("Secret").values())
    assert not installed(*first).of("Secret")


def test_a_key_that_a_secret_lacks_is_added_to_it(installed: Installed) -> None:
    found = installed(
        secret("oms-order", OMS_FINGERPRINT_KEY="old"),
        services__order__generatedEnv=["OMS_FINGERPRINT_KEY", "OMS_OTHER_KEY"],
    ).of("Secret")["oms-order"]
    values = decoded(found)
    assert values["OMS_FINGERPRINT_KEY"] == "old"
    assert len(values["OMS_OTHER_KEY"]) == 48


def test_a_secret_that_is_part_of_an_earlier_release_stays_unchanged_until_it_has_keep(
    installed: Installed,
) -> None:
    found = installed(secret("oms-sms-database", RELEASED, **SMS)).of("Secret")["oms-sms-database"]
    assert decoded(found) == SMS
    assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    kept = secret("oms-sms-database", {**RELEASED, "helm.sh/resource-policy": "keep"}, **SMS)
    assert "oms-sms-database" not in installed(kept).of("Secret")


def test_a_user_s_own_secret_replaces_a_generated_one(installed: Installed, render: Any) -> None:
    assert "oms-order-database" not in installed(services__order__database__existingSecret="mine").of("Secret")
    rendered = render({"services.order.database": {"existingSecret": "mine"}})
    assert rendered.container("oms-order")["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "uri"}
    assert "oms-order-database" not in json.dumps(rendered.of("Job"))


def job(rendered: Any) -> Manifest:
    found: Manifest = next(one for name, one in rendered.of("Job").items() if name.startswith("oms-secrets-"))
    return found


def test_a_job_makes_them_if_the_chart_is_only_rendered(render: Any, installed: Installed) -> None:
    rendered = render({"kafka.mode": "embedded"})
    account = job(rendered)["spec"]["template"]["spec"]["serviceAccountName"]
    rules = rendered.of("Role")[account]["rules"]
    assert {name for rule in rules for name in rule.get("resourceNames", ())} == NAMES
    assert [rule["verbs"] for rule in rules] == [["get", "patch"], ["create"]]
    assert rendered.of("RoleBinding")[account]["subjects"][0]["name"] == account
    assert not installed(**EMBEDDED).of("Role")
    assert [name for name in installed(**EMBEDDED).of("Job") if "secrets" in name] == []


def test_they_are_not_made_if_that_is_switched_off(render: Any, installed: Installed) -> None:
    for rendered in (render({"generatedSecrets": "none"}), installed(generatedSecrets="none")):
        assert not rendered.of("Secret")
        assert not rendered.of("Job")
        assert not rendered.of("Role")


def test_a_job_with_other_contents_has_another_name(render: Any) -> None:
    def names(**values: Any) -> set[str]:
        return set(render({"kafka.mode": "embedded", **values}).of("Job"))

    assert names() == names()
    assert len(names()) == 2
    assert not names() & names(image={"registry": "registry.example.com/team", "tag": "another"})
    for one in render({"kafka.mode": "embedded"}).of("Job").values():
        assert "ttlSecondsAfterFinished" not in one["spec"]  # its removal would be drift to Argo CD


@pytest.fixture
def make(render: Any, tmp_path: Path) -> Callable[[ApiServer], str]:
    """Return a function that runs the Job's command."""
    (tmp_path / "token").write_text("t")
    given = {one["name"]: one["value"] for one in job(render())["spec"]["template"]["spec"]["containers"][0]["env"]}

    def run(server: ApiServer) -> str:
        env = {**os.environ, **given, "API": server.url, "ACCOUNT": str(tmp_path)}
        done = subprocess.run([sys.executable, MAKE], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_job_makes_what_helm_would_make(make: Callable[[ApiServer], str], installed: Installed) -> None:
    expected = installed().of("Secret")
    with serving(ApiServer({("v1", "Secret")}, [])) as server:
        printed = make(server)
        made = {one["metadata"]["name"]: one for one in server.objects.values()}
    assert made.keys() == expected.keys()
    for name, one in made.items():
        assert {key: len(value) for key, value in decoded(one).items()} == {
            key: len(value) for key, value in decoded(expected[name]).items()
        }
        assert decoded(one).get("password", "") in decoded(one).get("uri", "")
        assert not [value for key, value in decoded(one).items() if key != "username" and value in printed]
        labels = expected[name]["metadata"]["labels"]
        assert one["metadata"]["labels"].items() <= labels.items()
        assert "Prune=false" in one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]


def test_the_job_changes_nothing_that_exists_and_adds_what_is_missing(make: Callable[[ApiServer], str]) -> None:
    theirs = [secret("oms-sms-database", None, **SMS), secret("oms-order", OTHER="kept")]
    with serving(ApiServer({("v1", "Secret")}, theirs)) as server:
        make(server)
        first, changes = json.dumps(server.objects, sort_keys=True), len(server.changes)
        make(server)
        assert len(server.changes) == changes
        assert json.dumps(server.objects, sort_keys=True) == first
        found = {one["metadata"]["name"]: decoded(one) for one in server.objects.values()}
    assert found["oms-sms-database"] == SMS
    assert found["oms-order"].keys() == {"OTHER", "OMS_FINGERPRINT_KEY"}
    assert found["oms-order"]["OTHER"] == "kept"
