"""Every setting of a service can be given in a values file, or there is a reason why not."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from oms_contracts.topics import SERVICES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs() -> Any:
    """Return the script that writes settings into the chart's documents."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield import_module("chart_docs")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_a_value_of_the_chart_or_is_listed_with_a_reason(docs: Any, service: str) -> None:
    fields = set(import_module(f"oms_{service}.main").SERVICE.settings.model_fields)
    offered = {name for name, (services, _) in docs.settings().items() if service in services}
    assert fields <= offered | set(docs.ELSEWHERE)
    assert not offered & set(docs.ELSEWHERE)


def test_everything_listed_as_set_elsewhere_is_a_setting(docs: Any) -> None:
    fields = {name for one in SERVICES for name in import_module(f"oms_{one}.main").SERVICE.settings.model_fields}
    assert set(docs.ELSEWHERE) <= fields


def test_a_setting_reaches_the_service(render: Any) -> None:
    values = {
        "serviceDefaults.settings": {"jobLeaseSeconds": 30, "inboxDays": 9.5},
        "services.order.settings": {
            "queueLimit": 1_000_000,
            "requireIdempotencyKey": True,
            "corsOrigins": "https://a.example",
        },
        "services.email.settings": {"smtpMailTimeout": 60},
    }
    order, email = (render(values).settings(service) for service in ("order", "email"))
    assert (order.job_lease_seconds, order.inbox_days) == (30, 9.5)
    assert (order.queue_limit, order.require_idempotency_key) == (1_000_000, True)
    assert order.cors_origins == ("https://a.example",)
    assert (email.job_lease_seconds, email.smtp_mail_timeout) == (30, 60)


def variables(rendered: Any, deployment: str) -> set[str]:
    return {one["name"] for one in rendered.container(deployment)["env"]}


def test_a_default_applies_to_the_services_that_have_the_setting(render: Any) -> None:
    given = {"recipientLimit": "10/3600", "queueLimit": 7, "jobLeaseSeconds": 30}
    rendered = render({"serviceDefaults.settings": given})
    for service in SERVICES:
        has = {name for name in given if snake(name).lower() in type(rendered.settings(service)).model_fields}
        names = variables(rendered, f"oms-{service}")
        assert {name for name in given if f"OMS_{snake(name)}" in names} == has, service
    assert rendered.settings("email").recipient_limit.count == 10


def test_a_service_that_the_chart_does_not_know_may_have_any_setting(render: Any) -> None:
    own = {"settings": {"recipientLimit": "10/3600"}, "consumes": ["orderCreatedEvent"]}
    rendered = render({"serviceDefaults.settings": {"queueLimit": 7}, "services.loyalty": own})
    assert {"OMS_RECIPIENT_LIMIT", "OMS_QUEUE_LIMIT"} <= variables(rendered, "oms-loyalty")


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_of_a_service_is_taken_from_its_values(docs: Any, service: str) -> None:
    known = docs.owners()
    has = {name for name, (services, _) in docs.settings().items() if service in services}
    assert set(known["common"]) | set(known["own"][service]) == {docs.camel(name) for name in has}


def test_a_variable_of_the_same_name_takes_precedence(render: Any) -> None:
    values = {"services.order.settings": {"queueLimit": 5}, "services.order.env.OMS_QUEUE_LIMIT": "7"}
    names = [one["name"] for one in render(values).container("oms-order")["env"]]
    assert names.count("OMS_QUEUE_LIMIT") == 1
    assert render(values).settings("order").queue_limit == 7


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"services.order.settings": {"quueLimit": 5}}, "quueLimit"),
        ({"services.order.settings": {"queueLimit": 0}}, "queueLimit"),
        ({"services.order.settings": {"queueLimit": "many"}}, "queueLimit"),
        ({"serviceDefaults.settings": {"stallSeconds": 1}}, "stallSeconds"),
        ({"services.order.settings": {"databaseUrl": "x"}}, "databaseUrl"),
        ({"services.email.settings": {"smtpMailTimeout": 1e10}}, "smtpMailTimeout"),
        ({"serviceDefaults.settings": {"inboxDays": 1e9}}, "inboxDays"),
        ({"shutdown.drainSeconds": 1_000_000}, "drainSeconds"),
        ({"services.order.settings": {"recipientLimit": "10/3600"}}, "recipientLimit"),
        ({"services.email.settings": {"prefixLimits": "+=100/3600"}}, "prefixLimits"),
    ],
    ids=str,
)
def test_an_unknown_setting_or_one_out_of_bounds_is_refused_by_name(
    helm: Any, values: dict[str, Any], complaint: str
) -> None:
    assert complaint in helm.refusal(values)


@pytest.mark.parametrize("setting", ["deadLetterDays", "inboxDays"])
def test_no_event_can_be_applied_after_its_order_was_deleted(helm: Any, render: Any, setting: str) -> None:
    both = {"serviceDefaults.settings": {"orderDays": 45, setting: 60}}
    assert f"{setting} (60) is above orderDays (45)" in helm.refusal(both)
    apart = {"serviceDefaults.settings.orderDays": 45, "services.payment.env": {f"OMS_{snake(setting)}": "46"}}
    assert f"services.payment: {setting} (46) is above orderDays (45)" in helm.refusal(apart)
    for_ever = {"serviceDefaults.settings": {setting: 60}, "services.sms.settings.orderDays": 60}
    assert render(for_ever).settings("sms").order_days == 60
    assert render({"serviceDefaults.settings": {"orderDays": 45, setting: 45}}).settings("payment").order_days == 45


def snake(setting: str) -> str:
    return re.sub("([A-Z])", r"_\1", setting).upper()


def test_starttls_is_not_used_with_tls_from_the_first_byte(render: Any) -> None:
    values = {"notifications.smtp": {"host": "smtp.example.com", "port": 465, "implicitTls": True}}
    email = render(values).settings("email")
    assert (email.smtp_port, email.smtp_implicit_tls, email.smtp_starttls) == (465, True, False)


def test_the_mail_catcher_is_reached_without_tls(render: Any) -> None:
    email = render({"notifications.smtp.implicitTls": True}).settings("email")
    assert (email.smtp_implicit_tls, email.smtp_starttls) == (False, False)


@pytest.mark.parametrize("url", ["https://sms.example.com?key=1", "https://sms.example.com/v1?to=a@b", "http://sms:80"])
def test_the_chart_accepts_the_same_sms_urls_as_the_service(render: Any, url: str) -> None:
    assert render({"notifications.sms.url": url}).settings("sms").sms_url == url


@pytest.mark.parametrize("url", ["https://key@sms.example.com/v1", "https://sms.example.com/v1#key", "https://a b"])
def test_a_url_of_which_a_part_would_not_be_sent_is_refused(helm: Any, url: str) -> None:
    assert "/notifications/sms/url" in helm.refusal({"notifications.sms.url": url})
