#!/usr/bin/env bash
# Checks everything that can be checked without running it. Continues after a failure, so that one run reports everything.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
scripts/setup.sh || exit 1

code=()
for folder in packages services tests benchmarks scripts; do [ -d $folder ] && code+=("$folder"); done
failed=()
check() {
  local name=$1
  shift
  echo "== $name"
  "$@" || failed+=("$name")
}
check "ruff format" ruff format --check --quiet "${code[@]}"
check "ruff" ruff check "${code[@]}"
# Where mypy finds each package.
MYPYPATH=$(printf '%s:' packages/* services/*)tests
export MYPYPATH
# Each package's tests separately: they may use the same file names.
check "mypy" mypy packages/*/oms_* services/*/oms_* $(ls -d tests benchmarks scripts 2>/dev/null)
for folder in packages/*/tests services/*/tests; do check "mypy $folder" mypy --no-error-summary "$folder"; done
check "imports" python scripts/imports.py
check "contracts" python -m oms_contracts --check
check "state machines" python -m scripts.state_machine --check
check "problems" python -m scripts.problems --check
check "sizes" python scripts/sizes.py
check "documentation" scripts/docs.sh
check "words" python scripts/words.py
if command -v actionlint >/dev/null; then check "workflows" actionlint; fi

[ ${#failed[@]} -eq 0 ] && echo "lint: all well" && exit 0
printf 'lint: failed: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
exit 1
