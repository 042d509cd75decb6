#!/usr/bin/env bash
# Everything that needs Docker or a cluster: images, compose, chart, kind, and the end-to-end tests through the Ingress.
# Arguments go to pytest. The cluster stays: scripts/kind-down.sh deletes it.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMS_TOOLS_REQUIRED=1 # here, a tool that is missing is a failure and no reason to skip

scripts/setup.sh
.venv/bin/pytest -m cluster tests/images "$@" # builds the images that the cluster runs
OMS_SKIP_BUILD=1 scripts/kind-up.sh
.venv/bin/pytest tests/chart tests/cluster "$@"
OMS_URL=http://localhost:8080 .venv/bin/pytest tests/e2e "$@"
