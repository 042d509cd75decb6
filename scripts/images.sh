#!/usr/bin/env bash
# Build the base image and the services' images on top of it, and print their sizes.
#   scripts/images.sh                 oms/order:dev and the others with the simulators, and oms/simulators:dev
#   scripts/images.sh --production    oms/order:production and the others without them
#   scripts/images.sh --sbom          and write the contents of each to build/sbom/TAG/IMAGE.cdx.json (CycloneDX)
#   scripts/images.sh --push          and push them to OMS_REGISTRY
# Variables: OMS_REGISTRY (registry.example.com/team; none), OMS_TAG (dev, or production), OMS_BUILD_NETWORK (default;
# host helps if builds cannot resolve names).
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${OMS_REGISTRY:+$OMS_REGISTRY/}oms
flavour=demo sbom='' push=''
export DOCKER_BUILDKIT=1

die() { printf 'images: %s\n' "$*" >&2; exit 1; }

for option; do
  case $option in
    --production) flavour=production ;;
    --sbom) sbom=1 ;;
    --push) push=1 ;;
    *) die "unknown option $option (there are --production, --sbom and --push)" ;;
  esac
done
[ -z "$push" ] || [ -n "${OMS_REGISTRY:-}" ] || die "--push needs OMS_REGISTRY"
docker version >/dev/null 2>&1 || die "Docker does not answer: install and start it first"

if [ $flavour = demo ]; then
  target=demo tag=${OMS_TAG:-dev} dockerfiles=(services/*/Dockerfile packages/simulators/Dockerfile)
else
  target=runtime tag=${OMS_TAG:-production} dockerfiles=(services/*/Dockerfile)
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
revision=$(git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)

# build NAME DOCKERFILE [OPTION...]
build() {
  echo "images: building $prefix/$1:$tag"
  docker build --quiet --network "${OMS_BUILD_NETWORK:-default}" --file "$2" --tag "$prefix/$1:$tag" \
    --label "org.opencontainers.image.title=oms-$1" "${@:3}" . >/dev/null
}

build base Dockerfile.base --target $target --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
names=()
for dockerfile in "${dockerfiles[@]}"; do
  name=$(basename "${dockerfile%/Dockerfile}")
  names+=("$name")
  build "$name" "$dockerfile" --build-arg "BASE=$prefix/base:$tag"
done

if [ -n "$sbom" ]; then
  mkdir -p "build/sbom/$tag"
  for name in "${names[@]}"; do
    docker run --rm --interactive --network none --entrypoint python "$prefix/$name:$tag" - "$prefix/$name" "$tag" \
      <scripts/sbom.py >"build/sbom/$tag/$name.cdx.json"
  done
  echo "images: wrote $(printf "build/sbom/$tag/%s.cdx.json " "${names[@]}")"
fi

if [ -n "$push" ]; then
  for name in "${names[@]}"; do docker push --quiet "$prefix/$name:$tag"; done
fi

for name in "${names[@]}"; do
  docker image inspect --format "$prefix/$name:$tag {{.Size}}" "$prefix/$name:$tag"
done | awk '{ printf "images: %-24s %4.0f MB\n", $1, $2 / 1e6 }'
