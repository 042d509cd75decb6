#!/usr/bin/env bash
# Make a Kubernetes cluster in Docker with all of OMS in it, at http://localhost:8080/order, or update an existing one.
# Arguments go to helm: scripts/kind-up.sh --set logLevel=DEBUG
# Variables: OMS_TAG (dev), OMS_CLUSTER (oms), OMS_SKIP_BUILD=1 (the images are built already).
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=${OMS_CLUSTER:-oms}
tag=${OMS_TAG:-dev}
context=kind-$cluster
node=$cluster-control-plane
traefik=37.x.x # version of its chart: a new major version may need other values
values=(--values charts/oms/ci/kind-values.yaml --set "image.tag=$tag" "$@")

say() { printf 'kind-up: [%3ss] %s\n' "$SECONDS" "$*"; }
die() { printf 'kind-up: %s\n' "$*" >&2; exit 1; }
kube() { kubectl --context "$context" "$@"; }

for tool in docker kind kubectl helm; do
  command -v $tool >/dev/null || die "no $tool on the PATH: install it first"
done
docker version >/dev/null 2>&1 || die "Docker does not answer: start it first"

make_cluster() {
  if kind get clusters 2>/dev/null | grep -qx "$cluster"; then
    say "the cluster $cluster is there"
    docker start "$node" >/dev/null # it is stopped after a reboot
    return
  fi
  say "making the cluster $cluster"
  kind create cluster --name "$cluster" --config k8s/kind-config.yaml --wait 120s --quiet
}

# kind comes without an Ingress controller. Traefik listens on the node's port 80, which kind-config.yaml maps to 8080.
make_ingress() {
  [ -z "$(kube get ingressclass --output name)" ] || return 0
  say "installing Traefik"
  helm upgrade --install traefik oci://ghcr.io/traefik/helm/traefik --version "$traefik" --kube-context "$context" \
    --namespace traefik --create-namespace --wait --timeout 3m \
    --set ingressClass.isDefaultClass=true --set service.type=ClusterIP --set ports.web.hostPort=80 >/dev/null
}

# Load those of the chart's images that this machine has, so that the node need not pull them. The node keeps a list of them.
load_images() {
  local image id note=/var/lib/oms-images named loaded images=() lines=()
  named=$(helm template oms charts/oms "${values[@]}" | sed -nE 's/^ *(- )?image: *"?([^" ]*)"?$/\2/p' | sort -u)
  loaded=$(docker exec "$node" cat $note 2>/dev/null || true)
  for image in $named; do
    id=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null) || continue
    lines+=("$image $id")
    grep -qxF "$image $id" <<<"$loaded" || images+=("$image")
  done
  [ ${#images[@]} = 0 ] && return
  say "loading ${images[*]}"
  kind load docker-image --name "$cluster" "${images[@]}" >build/kind-load.log 2>&1 || {
    cat build/kind-load.log >&2
    die "kind load docker-image failed: ${images[*]}"
  }
  printf '%s\n' "${lines[@]}" | docker exec --interactive "$node" tee $note >/dev/null
}

make_namespace() {
  kube create namespace oms --dry-run=client --output yaml | kube apply --filename - >/dev/null
  kube label namespace oms --overwrite \
    pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted >/dev/null
}

# Print changes until the installation is done or has timed out.
follow() {
  local state before=''
  while kill -0 "$1" 2>/dev/null; do
    state=$(kube --namespace oms get pods --no-headers --label-columns app.kubernetes.io/component 2>/dev/null |
      awk '{ split($2, n, "/"); all++; if (n[1] == n[2] || $3 == "Completed") ready++; else waits = waits " " $NF }
        END { printf "%d of %d pods ready%s", ready, all, waits ? "; waiting for" waits : "" }')
    [ "$state" = "$before" ] || say "$state"
    before=$state
    sleep 2
  done
  wait "$1"
}

# Images may be new although their tag is the same, and pods that run the old ones may crash because of that. So the pods have
# an annotation with the ids of the images, by which helm notices the change and replaces them.
images_id() {
  local images=(services/*/ packages/simulators/)
  images=("${images[@]%/}")
  docker image inspect --format '{{.Id}}' $(printf "oms/%s:$tag " "${images[@]##*/}") | cksum | tr -d ' '
}

install() {
  local id
  id=$(images_id) # a line of its own: a failure within an argument would not end the script
  say "installing the chart"
  helm upgrade --install oms charts/oms --kube-context "$context" --namespace oms --create-namespace \
    "${values[@]}" --set-string "serviceDefaults.podAnnotations.oms/images=$id" \
    --wait --timeout 5m >build/kind-up.log 2>&1 &
  follow $! || {
    cat build/kind-up.log >&2
    kube --namespace oms get pods >&2
    die "the chart could not be installed; kubectl --context $context --namespace oms describe pods says more"
  }
}

# 401 is an answer too, if callers must authenticate.
reachable() {
  local status
  status=$(curl --silent --output /dev/null --write-out '%{http_code}' http://localhost:8080/order)
  [[ $status =~ ^(200|401)$ ]]
}

wait_for_ingress() {
  for _ in $(seq 60); do
    if reachable; then return; fi
    sleep 1
  done
  die "http://localhost:8080/order does not answer: is another program on port 8080, or is the Ingress missing?"
}

mkdir -p build
[ -n "${OMS_SKIP_BUILD:-}" ] || scripts/images.sh
make_cluster
make_ingress
load_images
make_namespace
install
wait_for_ingress
say "ready: http://localhost:8080/order"
