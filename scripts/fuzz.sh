#!/usr/bin/env bash
# Tens of thousands of requests and records, with sense and without, and the page that says how many. OMS_EXAMPLES is how
# many each test of records and bytes tries; of what a document describes, a third of it for each operation.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh || exit 1
export OMS_EXAMPLES="${OMS_EXAMPLES:-6000}"
rm -f build/fuzz.txt
tests=(services/*/tests/test_document.py services/order/tests/test_any_bytes.py packages/contracts/tests/test_any_event.py)
.venv/bin/pytest -n auto --dist load --timeout 7200 "${tests[@]}" || exit 1
PYTHONPATH=tests .venv/bin/python scripts/fuzz.py
