"""Libraries that only some settings need are loaded only with those settings."""

import subprocess
import sys

from oms_contracts.topics import SERVICES

OF_SOME_SETTINGS = {
    "alembic": "migrate",
    "cryptography": "OMS_AUTH=jwt",
    "httpx2": "OMS_AUTH=jwt",
    "opentelemetry.sdk": "OMS_TRACES_ENDPOINT",
}


def test_a_service_loads_no_library_that_its_default_settings_do_not_need() -> None:
    program = (
        f"import sys, {', '.join(f'oms_{name}.main' for name in SERVICES)}\n"
        f"print(*(name for name in {[*OF_SOME_SETTINGS]} if name in sys.modules))"
    )
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert made.stdout.split() == []
