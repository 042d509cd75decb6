#!/usr/bin/env bash
# Build the documentation as a site: build/site. A link to nowhere, or a page that no menu has, is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
export NO_MKDOCS_2_WARNING=1 # a notice of MkDocs about its future, in each build
# Not --quiet: then --strict would not count the warnings that are not shown.
if ! output=$(.venv/bin/mkdocs build --strict 2>&1); then
  printf '%s\n' "$output" >&2
  exit 1
fi
