#!/usr/bin/env bash
# Measures the resources that OMS needs on Kubernetes, on a kind cluster made for this: scripts/footprint.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
PYTHONPATH=tests exec .venv/bin/python -m benchmarks.footprint "$@"
