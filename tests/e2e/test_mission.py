"""The mission's two commands, verbatim."""

import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest
from support.chassis import eventually
from support.deployment import Deployment

ORDER = """curl -X POST http://localhost:9090/order -H "Content-Type: application/json" -d '{
  "customer": {"name": "Anjana", "email": "test@gmail.com", "phoneNumber": "762222222"},
  "items": [{"id": "Item1", "quantity": 2}],
  "paymentDetails": {"name": "NGAS Subashana", "cardNumber": "1234", "expiryDate": "02/22", "cvv": "123"}
}'"""
LIST = "curl http://localhost:9090/order"


@pytest.fixture(autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")


def run(command: str, deployment: Deployment) -> Any:
    """Run a command of the mission with the address of this deployment, and return its output."""
    arguments = shlex.split(command.replace("http://localhost:9090", deployment.orders))
    done = subprocess.run([*arguments, "--silent", "--show-error"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_the_missions_order_is_accepted_and_confirmed(deployment: Deployment) -> None:
    answer = run(ORDER, deployment)
    assert answer["status"] == "PENDING"

    def is_confirmed() -> bool:
        status: str = run(f"{LIST}/{answer['id']}", deployment)["status"]
        return status == "CONFIRMED"

    eventually(is_confirmed, within=60.0)


def test_the_missions_list_shows_the_order(deployment: Deployment) -> None:
    answer = run(ORDER, deployment)
    shown = next(order for order in run(LIST, deployment) if order["id"] == answer["id"])
    assert shown["customer"] == {
        "name": "Anjana",
        "email": "test@gmail.com",
        "phoneNumber": "762222222",
        "phoneE164": "+94762222222",
    }
