#!/usr/bin/env bash
# Runs the tests that need Docker or a cluster: images, compose, chart, kind, and the end-to-end tests through the Ingress.
# Arguments go to pytest. The cluster stays: scripts/kind-down.sh deletes it.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMS_TOOLS_REQUIRED=1 # here, a missing tool is a failure rather than a reason to skip
context=kind-${OMS_CLUSTER:-oms}
forwards=()
logs=$(mktemp -d)
trap '[ ${#forwards[@]} = 0 ] || kill "${forwards[@]}" 2>/dev/null; rm -rf "$logs"' EXIT

# forward SERVICE PORT VARIABLE: forward a port that the Ingress does not expose, and put its address into the variable
forward() {
  local address
  kubectl --context "$context" --namespace oms port-forward "service/$1" ":$2" >"$logs/$1" 2>&1 &
  forwards+=($!)
  for _ in $(seq 50); do
    if grep -q '127.0.0.1:' "$logs/$1"; then break; fi
    sleep 0.2
  done
  address=$(sed -n 's/^Forwarding from \(127.0.0.1:[0-9]*\) .*/\1/p' "$logs/$1")
  [ -n "$address" ] || { echo "test-cluster: no port of $1 is forwarded" >&2 && cat "$logs/$1" >&2 && exit 1; }
  export "$3=http://$address"
}

scripts/setup.sh
.venv/bin/pytest tests/images "$@" # builds the images that the cluster runs, and those of production
OMS_SKIP_BUILD=1 scripts/kind-up.sh
forward oms-inventory 9090 OMS_INVENTORY_URL
forward oms-mailcatcher 8025 OMS_MAILCATCHER_URL
OMS_URL=http://localhost:8080 .venv/bin/pytest tests/e2e "$@"
.venv/bin/pytest tests/chart tests/cluster --ignore tests/cluster/long "$@"
