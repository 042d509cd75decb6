"""The email and SMS providers are down: orders continue, and customers are notified later."""

import pytest
from support.proxied import Network

from incidents.bounds import COPIES
from incidents.faults import answering_503, silent
from incidents.incident import Incident
from oms_platform.platform import Platform

pytestmark = [pytest.mark.incidents, pytest.mark.timeout(600)]
LASTS = 15.0


def test_the_mail_server_is_silent(incident: Incident, network: Network) -> None:
    incident.run("the mail server falls silent", silent(network.smtp), LASTS, copies=COPIES)


def test_the_sms_provider_is_silent(incident: Incident, network: Network) -> None:
    incident.run("the SMS provider falls silent", silent(network.sms), LASTS)


def test_the_sms_provider_is_overloaded(incident: Incident, network: Network, platform: Platform) -> None:
    incident.run("the SMS provider answers 503", answering_503(network.sms, platform.at.mailcatcher), LASTS)
