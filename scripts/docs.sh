#!/usr/bin/env bash
# Build the documentation as a site: build/site. Fails if a link is broken or a page is in no menu.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
export NO_MKDOCS_2_WARNING=1 # hides a notice about MkDocs' future that every build prints
# Not --quiet: --strict does not count warnings that are not shown.
if ! output=$(.venv/bin/mkdocs build --strict 2>&1); then
  printf '%s\n' "$output" >&2
  exit 1
fi
