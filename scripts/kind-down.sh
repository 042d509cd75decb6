#!/usr/bin/env bash
# Delete the cluster that kind-up.sh made, with everything in it.
set -euo pipefail
kind delete cluster --name "${OMS_CLUSTER:-oms}"
