"""The cost of a new event, a field on an order and a payment provider, in files that are edited by hand.

Each count is taken from an existing one. It includes neither tests nor files that a command writes: documents from the
contracts (`make contracts`), migrations from the tables (`make migration`), and the lock file.
"""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from oms_chassis.db import Database
from oms_chassis.runtime.service import Components, Context, Service
from oms_contracts.topics import INVENTORY_RELEASED, SERVICES
from oms_order.main import SERVICE as ORDER
from oms_payment.main import SERVICE as PAYMENT

ROOT = Path(__file__).parents[2]
PRODUCT = ("packages", "services", "charts")
GENERATED = re.compile(r"^packages/contracts/(asyncapi|eventcatalog|schemas)|/migrations/versions/")
NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"
PROVIDER = """
class Desk:
    def close(self):
        pass

def tokeniser(_):
    return Desk()

def gateway(_):
    return Desk()
"""


def naming(pattern: str, *folders: str) -> set[str]:
    """Return the handwritten files of the product that match a regular expression."""
    command = ["git", "grep", "--untracked", "-lwE", pattern, "--", *(folders or PRODUCT)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    return {path for path in found if "/tests/" not in path and not GENERATED.search(path)}


def test_an_event_costs_four_files_with_the_handlers_of_its_publisher_and_more_only_for_more_readers() -> None:
    """For one that a service publishes and another reads: two files of the contracts, the chart, and both services."""
    named = naming(f"INVENTORY_RELEASED|{INVENTORY_RELEASED.name}|{INVENTORY_RELEASED.data.__name__}")
    readers = {
        path for path in named if path.startswith(tuple(f"services/{name}/" for name in INVENTORY_RELEASED.read_by))
    }
    assert len(readers) == len(INVENTORY_RELEASED.read_by) == 1
    assert len(named - readers) <= 4


def test_a_field_on_an_order_costs_at_most_five_files() -> None:
    """The brand of the card: in a request's answer, an event and a column, written and read."""
    named = naming("brand|card_brand", "services/order", "packages/contracts")
    assert {"packages/contracts/oms_contracts/parts.py", "services/order/oms_order/tables.py"} <= named
    assert len(named) <= 5


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a payment provider installed as a package: a module, and a line of its pyproject.toml."""
    (tmp_path / "oms_paypartner.py").write_text(PROVIDER)
    package = tmp_path / "oms_paypartner-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: oms-paypartner\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[oms.gateways]\npaypartner = oms_paypartner\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OMS_FINGERPRINT_KEY", "a key of tests")  # the default is for the simulator only
    return "paypartner"


def build(service: Service, gateway: str) -> Components:
    given = {"database_url": NOWHERE, "kafka_bootstrap": "127.0.0.1:1", "gateway": gateway}
    settings = service.settings.model_validate(given)
    return service.build(Context(settings, Database(NOWHERE), CollectorRegistry()))


@pytest.mark.parametrize("service", [ORDER, PAYMENT], ids=lambda service: service.name)
def test_a_payment_provider_costs_a_module_and_a_line(service: Service, provider: str) -> None:
    """The third file is the chart's values, in which a user sets OMS_GATEWAY."""
    build(service, provider)
    with pytest.raises(ValueError, match="installed here"):
        build(service, "another")


def test_a_provider_s_name_is_data_to_all_code_of_the_services() -> None:
    """Only a setting's default names one."""
    named = naming(
        """["']simulator["']""", "services", "packages/gateway", "packages/chassis", "packages/notifications"
    )
    assert {path for path in named if path.endswith(".py")} <= {f"services/{n}/oms_{n}/settings.py" for n in SERVICES}
