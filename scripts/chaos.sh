#!/usr/bin/env bash
# Orders while faults overlap, by a seed: scripts/chaos.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
PYTHONPATH=tests exec .venv/bin/python -m chaos "$@"
