#!/usr/bin/env bash
# Build the base image and the five services' images on it, and say how large they are.
#   scripts/images.sh           oms/order:dev and the others
#   scripts/images.sh --sbom    and write what is in each to build/sbom/SERVICE.cdx.json (CycloneDX)
#   scripts/images.sh --push    and push them to OMS_REGISTRY
# Variables: OMS_REGISTRY (registry.example.com/team; none), OMS_TAG (dev), OMS_BUILD_NETWORK (default; host helps
# where builds cannot resolve names).
set -euo pipefail
cd "$(dirname "$0")/.."
services=(order payment inventory sms email)
prefix=${OMS_REGISTRY:+$OMS_REGISTRY/}oms
tag=${OMS_TAG:-dev}
sbom='' push=''
export DOCKER_BUILDKIT=1

die() { printf 'images: %s\n' "$*" >&2; exit 1; }

for option; do
  case $option in
    --sbom) sbom=1 ;;
    --push) push=1 ;;
    *) die "unknown option $option (there are --sbom and --push)" ;;
  esac
done
[ -z "$push" ] || [ -n "${OMS_REGISTRY:-}" ] || die "--push needs OMS_REGISTRY"
docker version >/dev/null 2>&1 || die "Docker does not answer: install and start it first"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
revision=$(git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)

# build NAME DOCKERFILE [OPTION...]
build() {
  echo "images: building $prefix/$1:$tag"
  docker build --quiet --network "${OMS_BUILD_NETWORK:-default}" --file "$2" --tag "$prefix/$1:$tag" \
    --label "org.opencontainers.image.title=oms-$1" "${@:3}" . >/dev/null
}

build base Dockerfile.base --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
for service in "${services[@]}"; do
  build "$service" "services/$service/Dockerfile" --build-arg "BASE=$prefix/base:$tag"
done

if [ -n "$sbom" ]; then
  mkdir -p build/sbom
  for service in "${services[@]}"; do
    docker run --rm --interactive --network none --entrypoint python "$prefix/$service:$tag" - "$prefix/$service" "$tag" \
      <scripts/sbom.py >"build/sbom/$service.cdx.json"
  done
  echo "images: wrote $(printf 'build/sbom/%s.cdx.json ' "${services[@]}")"
fi

if [ -n "$push" ]; then
  for service in "${services[@]}"; do docker push --quiet "$prefix/$service:$tag"; done
fi

for service in "${services[@]}"; do
  docker image inspect --format "$prefix/$service:$tag {{.Size}}" "$prefix/$service:$tag"
done | awk '{ printf "images: %-24s %4.0f MB\n", $1, $2 / 1e6 }'
