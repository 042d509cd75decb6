#!/usr/bin/env bash
# Write requirements.lock from the pyproject.toml files. Versions already locked stay, except with scripts/lock.sh --upgrade
set -euo pipefail
cd "$(dirname "$0")/.."
folders=(packages/* services/*)
.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
  --custom-compile-command "make lock" $(for one in "${folders[@]}"; do printf -- '--no-emit-package oms-%s ' "${one#*/}"; done) \
  --group pyproject.toml:dev pyproject.toml "${folders[@]/%//pyproject.toml}" --output-file requirements.lock "$@"
