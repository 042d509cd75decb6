#!/usr/bin/env bash
# Runs the tests that need neither Docker nor a cluster. Half of their time would go into those marked `system`, which wait for
# a whole platform to fail and to recover: --system runs only these, --all (in CI) runs them too, and otherwise they are left
# out. Further arguments go to pytest; CI's measure coverage, which takes a quarter more time. Four workers on two cores,
# because half of the tests wait, or three if platforms fail; one of them has the tests that share a platform (conftest.py).
# Tests that measure how long something takes run first, with the machine to themselves. With OMS_TEST_AGAIN=yes, as in CI,
# failed tests may pass a second time: workers sometimes miss a deadline, whereas a real fault fails again.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh || exit 1

others="not alone and not cluster and not incidents and not scaffold"
measures=yes workers=3
case "${1:-}" in
  --system) others+=" and system" measures=no && shift ;;
  --all) shift ;;
  *) others+=" and not system" workers=4 ;;
esac

# Otherwise each worker would compile all tests again, and each service that a test starts its own modules.
unset PYTHONDONTWRITEBYTECODE

# A mark that every process of this run inherits: a process that still has it afterwards was left behind.
export OMS_TEST_RUN="$$-$(date +%s)"
rm -f .coverage .coverage.*
code=0
# Forget which tests failed in an earlier run.
rm -rf .pytest_cache
if [ $measures = yes ]; then
  mapfile -t measuring < <(grep -rl --include='test_*.py' '^@pytest\.mark\.alone$' packages services tests)
  .venv/bin/pytest --quiet -m alone "${measuring[@]}" || code=$?
fi
.venv/bin/pytest -m "$others" -n "${OMS_TEST_WORKERS:-$workers}" --dist loadgroup "$@" || more=$?
code=$((code > ${more:-0} ? code : ${more:-0}))
if [ "$code" = 1 ] && [ "${OMS_TEST_AGAIN:-no}" = yes ]; then
  echo "test: the failed tests run once more, with the machine to themselves"
  code=0
  .venv/bin/pytest --last-failed --last-failed-no-failures none --maxfail 3 || code=$?
fi

left=$(grep -lsz "^OMS_TEST_RUN=$OMS_TEST_RUN\$" /proc/[0-9]*/environ | cut -d/ -f3 | grep -vx "$$")
for process in $left; do
  # Processes that the shell itself started to find out have ended by now.
  [ -r "/proc/$process/cmdline" ] || continue
  echo "test: left behind: $process $(tr '\0' ' ' <"/proc/$process/cmdline")" >&2
  code=1
done
exit $code
