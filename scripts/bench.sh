#!/usr/bin/env bash
# Compares throughput and latency with other implementations of the same flow: scripts/bench.sh --help
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
PYTHONPATH=tests exec .venv/bin/python -m benchmarks "$@" # the checker of the invariants is in tests
