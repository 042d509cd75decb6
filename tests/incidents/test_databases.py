"""A Postgres server vanishes, is demoted, is locked, or has lost a column."""

import time

import pytest
from support.proxied import Network
from support.traffic import Traffic

from incidents.bounds import ANSWERED, COPIES, MARGIN
from incidents.faults import forgotten, locked, read_only, renamed, silent
from incidents.incident import Incident
from oms_contracts.topics import SERVICES
from oms_platform.platform import Platform

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
LASTS = 15.0


def test_orders_are_answered_while_their_database_is_silent(incident: Incident, network: Network) -> None:
    incident.run("order's Postgres falls silent", silent(network.databases["order"]), LASTS)


@pytest.mark.incidents
def test_no_answer_waits_until_an_outcome_is_found_out(network: Network, platform: Platform) -> None:
    with Traffic(platform.url) as traffic:
        traffic.await_accepted(4)
        with silent(network.databases["order"]):
            time.sleep(LASTS)
        assert traffic.stop().slowest <= ANSWERED - MARGIN / 2


@pytest.mark.incidents
@pytest.mark.parametrize("name", SERVICES[1:])
def test_orders_are_accepted_while_another_database_is_silent(incident: Incident, network: Network, name: str) -> None:
    incident.run(f"{name}'s Postgres falls silent", silent(network.databases[name]), LASTS, copies=_copies(name))


@pytest.mark.incidents
@pytest.mark.parametrize("name", SERVICES)
def test_connections_that_lead_nowhere_are_replaced(incident: Incident, network: Network, name: str) -> None:
    fault = f"{name}'s connections to Postgres lead nowhere"
    incident.run(fault, forgotten(network.databases[name]), LASTS, copies=_copies(name))


@pytest.mark.incidents
@pytest.mark.parametrize("name", SERVICES)
def test_a_database_is_demoted_and_promoted_again(incident: Incident, platform: Platform, name: str) -> None:
    fault = f"{name}'s Postgres takes no writes"
    incident.run(fault, read_only(platform.databases[name]), LASTS, copies=_copies(name))


@pytest.mark.incidents
def test_orders_are_answered_while_they_are_locked(incident: Incident, platform: Platform) -> None:
    incident.run("the orders are locked", locked(platform.databases["order"], "orders"), 25.0)


@pytest.mark.incidents
def test_a_missing_column_makes_no_dead_letters(incident: Incident, platform: Platform) -> None:
    fault = "a column is missing in inventory's database"
    incident.run(fault, renamed(platform.databases["inventory"], "item", "on_hand"), LASTS)


def _copies(name: str) -> int:
    return COPIES if name == "email" else 0
