#!/usr/bin/env bash
# Make .venv: uv from PyPI, then everything that requirements.lock pins, then this project's own packages.
# Run it again after the lock file or a pyproject.toml has changed; otherwise it ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv
stamp=$venv/.made-from

quiet=$([ -t 2 ] || echo --quiet) # on a terminal, uv shows what it downloads

die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

state=$(cat requirements.lock pyproject.toml packages/*/pyproject.toml services/*/pyproject.toml scripts/setup.sh | cksum)
[ -x $venv/bin/oms ] && [ "$(cat $stamp 2>/dev/null)" = "$state" ] && exit 0

command -v "$python" >/dev/null || die "no $python on the PATH: install Python 3.11 or newer (apt-get install python3)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "$("$python" --version) is too old: OMS needs Python 3.11 or newer (PYTHON=/path/to/python make ... names another)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
  die "this Python cannot make virtual environments: apt-get install python3-venv, then try again"

if [ ! -x $venv/bin/uv ]; then
  echo "setup: making $venv"
  "$python" -m venv $venv
  $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    -r <(sed -n '/^uv==/,/[^\\]$/p' requirements.lock)
fi
echo "setup: installing what requirements.lock pins"
export UV_LINK_MODE=${UV_LINK_MODE:-copy}
$venv/bin/uv pip sync $quiet --python $venv --require-hashes --compile-bytecode requirements.lock
$venv/bin/uv pip install --quiet --python $venv --no-deps --no-build-isolation \
  $(for folder in packages/* services/*; do printf -- '-e %s ' "$folder"; done)
echo "$state" >$stamp
echo "setup: $venv is ready"
