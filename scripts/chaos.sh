#!/usr/bin/env bash
# Places orders while faults overlap, as a seed determines: scripts/chaos.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
PYTHONPATH=tests exec .venv/bin/python -m chaos "$@"
