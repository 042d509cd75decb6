"""How the chart configures the authentication of callers."""

import json
from pathlib import Path
from typing import Any

import pytest

PRODUCTION = Path(__file__).parents[2] / "charts" / "oms" / "values-production.yaml"
JWT = {"auth.mode": "jwt", "auth.jwt.issuer": "https://issuer.example.com/realm", "auth.jwt.audience": "oms"}


def environment(rendered: Any, service: str) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in rendered.container(f"oms-{service}")["env"]}


def test_only_services_with_public_routes_get_settings_of_authentication(render: Any) -> None:
    rendered = render({**JWT, "serviceDefaults.settings.rateLimit": "100/60"})
    for service in ("order", "inventory"):
        given = environment(rendered, service)
        assert given["OMS_AUTH"] == "jwt"
        assert (given["OMS_JWT_ISSUER"], given["OMS_JWT_AUDIENCE"]) == ("https://issuer.example.com/realm", "oms")
        assert given["OMS_RATE_LIMIT"] == "100/60"
    for service in ("payment", "sms", "email"):
        assert not {name for name in environment(rendered, service) if "AUTH" in name or "JWT" in name}


@pytest.mark.parametrize("mode", ["none", "api-key", "jwt", "api-key,jwt"])
def test_the_services_accept_every_mode_that_the_chart_offers(mode: str, render: Any) -> None:
    rendered = render(
        {**JWT, "auth.mode": mode, "services.order.settings.jwtDefaultScopes": "orders:place,orders:read"}
    )
    settings = rendered.settings("order")
    assert settings.auth == tuple(mode.split(","))
    assert settings.jwt_default_scopes == ("orders:place", "orders:read")


def test_production_authenticates_callers_and_is_refused_without(helm: Any) -> None:
    assert environment(helm.render(file=PRODUCTION), "order")["OMS_AUTH"] == "api-key"
    refused = helm.run("template", "oms", str(PRODUCTION.parent), "-f", str(PRODUCTION), "--set=auth.mode=none")
    assert refused.returncode != 0
    assert "anybody who reaches the public routes could read every order" in refused.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"auth.mode": "jwt"}, "auth.jwt.issuer"),
        ({"auth.mode": "basic"}, "/auth/mode"),
        ({"auth.mode": "api-key", "admin.enabled": False}, "admin.enabled must be true"),
        ({"auth.jwt.issuer": "issuer.example.com"}, "/auth/jwt/issuer"),
        ({"services.order.settings.auth": "none"}, "auth"),
    ],
)
def test_contradictory_values_are_refused(values: dict[str, Any], said: str, helm: Any) -> None:
    assert said in helm.refusal(values)


@pytest.mark.parametrize(
    ("issuer", "port"), [("https://a.example.com/x", 443), ("https://a.example.com:8443", 8443), ("http://a", 80)]
)
def test_the_issuer_can_be_reached_by_services_that_fetch_its_keys(issuer: str, port: int, render: Any) -> None:
    rendered = render({**JWT, "auth.jwt.issuer": issuer})
    rule = {"ports": [{"protocol": "TCP", "port": port}]}
    assert rule in rendered.of("NetworkPolicy")["oms-order"]["spec"]["egress"]
    assert rule not in rendered.of("NetworkPolicy")["oms-payment"]["spec"]["egress"]


def test_the_notes_say_that_nobody_is_authenticated_or_how_to_make_a_key(helm: Any) -> None:
    def notes(*options: str) -> str:
        chart = str(PRODUCTION.parent)
        given = ("--dry-run=client", "--set=image.registry=registry.example.com", *options)
        return str(helm.run("install", "oms", chart, *given).stdout)

    assert "authenticate nobody" in notes()
    assert "oms keys create" in notes("--set=auth.mode=api-key")
    assert "authenticate nobody" not in notes("--set=auth.mode=api-key")
    of_a_secret = {"name": "OMS_AUTH", "valueFrom": {"secretKeyRef": {"name": "sign-on", "key": "way"}}}
    assert "must authenticate (as a secret says)" in notes(
        f"--set-json=services.order.extraEnv={json.dumps([of_a_secret])}"
    )


def test_the_test_pod_has_the_credential_of_a_secret(render: Any) -> None:
    rendered = render({"auth.mode": "api-key", "test.existingSecret": "oms-test"})
    (pod,) = [spec for name, spec in rendered.pods().items() if name.startswith("Pod/")]
    given = {one["name"]: one for one in pod["containers"][0]["env"]}
    assert given["CREDENTIAL"]["valueFrom"]["secretKeyRef"] == {"name": "oms-test", "key": "credential"}
    assert given["AUTH"]["value"] == "api-key"
