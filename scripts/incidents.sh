#!/usr/bin/env bash
# Runs production incidents under load, and writes the page about them. Arguments go to pytest, and may name the test files
# to run. With arguments, the page is not written.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh || exit 1
given=$#
[ "$given" -gt 0 ] || rm -f build/incidents.json
case " $* " in
  *" tests/"*) ;;
  *) set -- tests/incidents "$@" ;;
esac
.venv/bin/pytest "$@"
code=$?
[ "$given" -gt 0 ] || PYTHONPATH=tests .venv/bin/python scripts/reliability.py
exit $code
