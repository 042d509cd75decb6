#!/usr/bin/env bash
# What OMS needs on Kubernetes, measured on a kind cluster that is made for it: scripts/footprint.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
PYTHONPATH=tests exec .venv/bin/python -m benchmarks.footprint "$@"
