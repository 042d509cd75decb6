#!/usr/bin/env bash
# The tests that need neither Docker nor a cluster. Half of their time would go into those marked `system`, which wait for
# a whole platform to fall and to come back: with --system they are the only ones, with --all (CI) they are among the
# others, and without either they are left out. Further arguments go to pytest; CI's are those of coverage, which costs a
# quarter more. Four workers on two cores, because half of the tests wait, or three where platforms fall; one of them has
# those that share a platform (conftest.py). What measures how long something takes comes first, with the machine to
# itself. With OMS_TEST_AGAIN=yes, which is CI's, what failed may pass a second time: workers miss a deadline now and
# then, and a fault fails again.
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

# Otherwise each worker compiles all tests again, and each service that a test starts its own modules.
unset PYTHONDONTWRITEBYTECODE

# A mark that every process of this run inherits: whoever still bears it afterwards was left behind.
export OMS_TEST_RUN="$$-$(date +%s)"
rm -f .coverage .coverage.*
code=0
# No results of an earlier run: what failed then is not what failed now.
rm -rf .pytest_cache
if [ $measures = yes ]; then
  mapfile -t measuring < <(grep -rl --include='test_*.py' '^@pytest\.mark\.alone$' packages services tests)
  .venv/bin/pytest --quiet -m alone "${measuring[@]}" || code=$?
fi
.venv/bin/pytest -m "$others" -n "${OMS_TEST_WORKERS:-$workers}" --dist loadgroup "$@" || more=$?
code=$((code > ${more:-0} ? code : ${more:-0}))
if [ "$code" = 1 ] && [ "${OMS_TEST_AGAIN:-no}" = yes ]; then
  echo "test: what failed runs once more, with the machine to itself"
  code=0
  .venv/bin/pytest --last-failed --last-failed-no-failures none --maxfail 3 || code=$?
fi

left=$(grep -lsz "^OMS_TEST_RUN=$OMS_TEST_RUN\$" /proc/[0-9]*/environ | cut -d/ -f3 | grep -vx "$$")
for process in $left; do
  # What the shell itself runs to find out is gone by now.
  [ -r "/proc/$process/cmdline" ] || continue
  echo "test: left behind: $process $(tr '\0' ' ' <"/proc/$process/cmdline")" >&2
  code=1
done
exit $code
