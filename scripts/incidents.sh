#!/usr/bin/env bash
# Production incidents under load, and the page about them. Arguments go to pytest: which of them, if any is a file of
# tests. With some, the page stays as it is.
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
