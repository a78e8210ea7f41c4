#!/usr/bin/env bash
# Makes .venv in this clone and installs sap-tui into it.
#
#   scripts/setup.sh run|dev
#
#   PYTHON=python3.12 scripts/setup.sh run      another interpreter
#   TORCH="torch==2.9.1" scripts/setup.sh run   another torch (any pip requirement)
#
# A torch that the interpreter already has is kept: the environment then sees the
# interpreter's packages and pip may not replace that version.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-run}
case $kind in
  run) target="." ;;
  dev) target=".[dev]" ;;
  *) echo "usage: scripts/setup.sh run|dev" >&2; exit 2 ;;
esac

usable() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

# The version of the torch that an interpreter has; nothing for a virtual environment's, which .venv could not see.
torch_of() {
  "$1" -c 'import sys; from importlib.metadata import version; print(sys.prefix == sys.base_prefix and version("torch") or "")' 2>/dev/null || true
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; return; fi
  for name in python3 python3.11 python3.12 python3.13; do
    if usable "$name" && [ -n "$(torch_of "$name")" ]; then echo "$name"; return; fi
  done
  for name in python3.11 python3.12 python3.13 python3; do
    if usable "$name"; then echo "$name"; return; fi
  done
  echo "sap-tui needs Python 3.11, 3.12 or 3.13. Install one, or name it: PYTHON=/path/to/python make demo" >&2
  exit 2
}

python=$(find_python)
stamp=".venv/.sap-tui-$kind"
state=$(cat pyproject.toml scripts/setup.sh | cksum; echo "${TORCH:-} $("$python" -V)")
for done_stamp in "$stamp" .venv/.sap-tui-dev; do
  if [ -f "$done_stamp" ] && [ "$(cat "$done_stamp")" = "$state" ]; then exit 0; fi
done

base_torch=$(torch_of "$python")
if [ -n "${TORCH:-}" ]; then torch=$TORCH; options=""
elif [ -n "$base_torch" ]; then torch="torch==$base_torch"; options="--system-site-packages"
else torch="torch<2.14"; options=""
fi

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
if [ ! -x .venv/bin/python ]; then
  say "Making .venv with $("$python" -V)${base_torch:+, keeping its torch $base_torch}"
  # shellcheck disable=SC2086
  "$python" -m venv $options .venv
fi
say "Installing sap-tui with $torch (about a minute the first time)"
constraint=$(mktemp)
trap 'rm -f "$constraint"' EXIT
echo "$torch" > "$constraint"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint "$constraint" --editable "$target"
echo "$state" > "$stamp"
