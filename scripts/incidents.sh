#!/usr/bin/env bash
# Production incidents under load, and the page about them. Arguments go to pytest; with some, the page stays as it is.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh || exit 1
[ $# -gt 0 ] || rm -f build/incidents.json
.venv/bin/pytest tests/incidents "$@"
code=$?
[ $# -gt 0 ] || PYTHONPATH=tests .venv/bin/python scripts/reliability.py
exit $code
