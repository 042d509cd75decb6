#!/usr/bin/env bash
# Tests the chart on kind with components that act on its policies, scaling and monitoring. This mostly waits, for an hour or so,
# and therefore CI does not run it. Arguments go to pytest. KEDA, and Prometheus with its operator, come from their public charts if
# the cluster has none; kind enforces policies itself. Tests of an unavailable operator are skipped with a message, or fail with
# OMS_OPERATORS_REQUIRED=1. The cluster stays: scripts/kind-down.sh deletes it.
# Variables: those of kind-up.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
context=kind-${OMS_CLUSTER:-oms}
export OMS_TOOLS_REQUIRED=1 OMS_KUBE_CONTEXT=$context
keda=2.x.x prometheus=77.x.x # versions of their charts: a new major version may need other values

say() { printf 'test-cluster-long: [%3ss] %s\n' "$SECONDS" "$*"; }
kube() { kubectl --context "$context" "$@"; }

# add NAME NAMESPACE OPTION...: install a chart; if that fails, its tests are skipped
add() {
  say "installing $1"
  helm upgrade --install "$1" "${@:3}" --kube-context "$context" --namespace "$2" --create-namespace --wait --timeout 5m \
    >"build/$1.log" 2>&1 || { say "$1 cannot be installed:" && tail -n 3 "build/$1.log"; } >&2
}

add_keda() {
  [ -z "$(kube get deployment --all-namespaces --selector app=keda-operator --output name)" ] || return 0
  add keda keda keda --repo https://kedacore.github.io/charts --version "$keda"
}

# Without the labels by which its chart would have it pick what it watches.
add_prometheus() {
  [ -z "$(kube get prometheuses.monitoring.coreos.com --all-namespaces --output name 2>/dev/null)" ] || return 0
  local each selectors=()
  for each in serviceMonitor podMonitor rule; do
    selectors+=(--set "prometheus.prometheusSpec.${each}SelectorNilUsesHelmValues=false")
  done
  add monitoring monitoring oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack --version "$prometheus" \
    --set grafana.enabled=false --set alertmanager.enabled=false "${selectors[@]}"
}

scripts/setup.sh
scripts/kind-up.sh
add_keda
add_prometheus
exec .venv/bin/pytest tests/cluster/long --timeout 2400 "$@"
