"""The database has connections for the maximum number of replicas, or the chart refuses to render."""

from typing import Any

import pytest

from oms_contracts.topics import SERVICES

SCALED = {"services.order.autoscaling.type": "hpa"}


def test_the_most_replicas_that_the_defaults_allow_have_enough_connections(render: Any) -> None:
    scaled = {f"services.{name}.autoscaling.type": "hpa" for name in SERVICES}
    assert render(scaled)


@pytest.mark.parametrize(
    "values",
    [
        {**SCALED, "database.pool": 30},
        {**SCALED, "services.order.autoscaling.maxReplicas": 7},
        {"services.order.replicas": 7},
        {"services.order.env.OMS_DATABASE_POOL": 60},
        {"services.order.env.OMS_DATABASE_POOL": "{{ mul 6 10 }}"},
        {"services.order.extraEnv": [{"name": "OMS_DATABASE_POOL", "value": "60"}]},
        {**SCALED, "database.mode": "cnpg", "database.pool": 14},
        {**SCALED, "database.embedded.parameters.max_connections": "58"},
    ],
    ids=["pool", "maxReplicas", "replicas", "own pool", "by a template", "by a list", "cnpg", "max_connections"],
)
def test_more_connections_than_the_database_has_are_refused(helm: Any, values: dict[str, Any]) -> None:
    refusal = helm.refusal(values)
    assert "may need" in refusal
    assert "max_connections" in refusal


def test_a_database_with_more_connections_supports_more_replicas(render: Any) -> None:
    assert render({**SCALED, "database.pool": 30, "database.embedded.parameters.max_connections": "213"})


@pytest.mark.parametrize("spec", ["database.cnpg.spec", "services.order.database.spec"])
def test_values_merged_over_a_cluster_count(helm: Any, render: Any, spec: str) -> None:
    def merged(most: str) -> dict[str, Any]:
        return {**SCALED, "database.mode": "cnpg", spec: {"postgresql": {"parameters": {"max_connections": most}}}}

    assert "its database accepts 20" in helm.refusal(merged("20"))
    assert render({**merged("213"), "services.order.env.OMS_DATABASE_POOL": 30})


def test_external_databases_are_not_checked(render: Any) -> None:
    secrets = {f"services.{name}.database.existingSecret": f"{name}-db" for name in SERVICES}
    assert render({**secrets, **SCALED, "database.mode": "external", "database.pool": 30})


def test_the_database_s_certificate_is_there_for_whoever_connects(render: Any) -> None:
    """The migration connects before the service, and the topics job has order's settings, which need the file."""
    rendered = render(
        {
            "kafka.mode": "embedded",
            "database.mode": "external",
            **{f"services.{name}.database.existingSecret": f"{name}-db" for name in SERVICES},
            "serviceDefaults.extraVolumes": [{"name": "ca", "configMap": {"name": "database-ca"}}],
            "serviceDefaults.extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/oms/database-ca"}],
        }
    )
    mounted = {
        container["name"]
        for pod in rendered.pods().values()
        for container in (*pod["containers"], *pod.get("initContainers", ()))
        if "/etc/oms/database-ca" in {one["mountPath"] for one in container.get("volumeMounts", ())}
    }
    assert mounted == {*SERVICES, "migrate", "topics"}
