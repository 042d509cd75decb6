#!/usr/bin/env bash
# Write requirements.lock from the pyproject.toml files. Versions already locked stay, unless asked: scripts/lock.sh --upgrade
set -euo pipefail
cd "$(dirname "$0")/.."
own=(contracts chassis gateway notifications simulators servers platform cli order payment inventory sms email)
.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
  --custom-compile-command "make lock" $(printf -- '--no-emit-package oms-%s ' "${own[@]}") \
  --group dev pyproject.toml --output-file requirements.lock "$@"
