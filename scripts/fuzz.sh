#!/usr/bin/env bash
# Sends tens of thousands of valid and invalid requests and records, and writes the page that says how many. Each test of
# records and bytes tries OMS_EXAMPLES of them; each operation that a document describes gets a third of that.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh || exit 1
export OMS_EXAMPLES="${OMS_EXAMPLES:-6000}"
rm -f build/fuzz.txt
tests=(services/*/tests/test_document.py services/order/tests/test_any_bytes.py packages/contracts/tests/test_any_event.py)
.venv/bin/pytest -n auto --dist load --timeout 7200 "${tests[@]}" || exit 1
PYTHONPATH=tests .venv/bin/python scripts/fuzz.py
