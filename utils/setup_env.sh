#!/usr/bin/env bash
# Makes the Python environment on first use and prints the path of its interpreter (progress goes to stderr).
#
#   python=$(utils/setup_env.sh)
#
# XLSRT_PYTHON=PATH  use this interpreter or environment instead; nothing is installed into it.
# XLSRT_VENV=DIR     where the environment lives (default: .venv beside run.sh).
#
# Needs Python 3.10, 3.11 or 3.12, no root. uv is used where it is; otherwise it is put into the environment first,
# because pip 26.3 and later refuse one of espnet's dependencies.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$root/requirements.lock
venv=${XLSRT_VENV:-$root/.venv}
wanted="import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))"

# Certificates of companies and proxies are in the system's store, which uv does not read by itself (new name, old name).
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true} UV_NATIVE_TLS=${UV_NATIVE_TLS:-true}

say() { echo "setup: $*" >&2; }
die() { say "error: $*"; exit 2; }

use_existing() { # print the interpreter of an environment that somebody else looks after
  local python=$1
  if [ -d "$python" ]; then
    if [ -e "$python/bin/python" ]; then python=$python/bin/python; else python=$python/bin/python3; fi
  fi
  python=$(command -v -- "$python") || die "XLSRT_PYTHON=$1 is no Python interpreter and no environment"
  python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
  "$python" -c "$wanted" || die "XLSRT_PYTHON=$1 is not Python 3.10, 3.11 or 3.12"
  "$python" "$root/utils/check_env.py" "$lock" >&2 || die "XLSRT_PYTHON=$1 lacks packages: install requirements.lock there"
  echo "$python"
}

find_python() { # the first interpreter that works; version managers leave shims that do not
  local candidate
  for candidate in python3 python3.11 python3.12 python3.10 python "$HOME"/.pyenv/versions/3.1[012].*/bin/python3; do
    if "$candidate" -c "$wanted" >/dev/null 2>&1; then
      command -v -- "$candidate"
      return
    fi
  done
  return 1
}

make_venv() {
  local python uv=
  uv=$(command -v uv) || true
  if ! python=$(find_python); then
    [ -n "$uv" ] || die "no Python 3.10, 3.11 or 3.12 found. Install one (Debian: python3 and python3-venv; pyenv; conda;" \
      "or uv, which brings its own), or set XLSRT_PYTHON=/path/to/python of an environment with requirements.lock installed"
    python=3.11
  fi
  say "making ${venv} with Python ${python}"
  rm -rf -- "$venv"
  mkdir -p -- "$venv"
  touch -- "$venv/.unfinished"
  if [ -n "$uv" ] && "$uv" venv --quiet --allow-existing --python "$python" "$venv" >&2; then return; fi
  # Debian's python3 comes without ensurepip unless python3-venv is installed: pip from outside does as well.
  if "$python" -m venv "$venv" >/dev/null 2>&1; then return; fi
  if "$python" -m virtualenv --quiet "$venv" >/dev/null 2>&1; then return; fi
  "$python" -m venv --without-pip "$venv" >&2 || die "$python has no venv module (Debian: apt install python3-venv)"
}

install_lock() { # requirements.lock into $venv, by uv from anywhere, at last by pip
  local pin python=$venv/bin/python
  pin=$(grep -E '^uv==' "$lock")
  local uv=$venv/bin/uv
  if command -v uv >/dev/null && uv pip install --no-deps --python "$python" -r "$lock" >&2; then return; fi
  if [ ! -x "$uv" ]; then
    say "installing ${pin%% *}"
    if "$python" -m pip --version >/dev/null 2>&1; then
      "$python" -m pip install --quiet "${pin%% *}" >&2 || say "uv cannot be installed, going on with pip"
    else
      python3 -m pip --python "$python" install --quiet "${pin%% *}" >&2 || true
    fi
  fi
  if [ -x "$uv" ]; then
    "$uv" pip install --no-deps --python "$python" -r "$lock" >&2 || die "installing requirements.lock failed (see above); run again to retry"
    return
  fi
  "$python" -m pip --version >/dev/null 2>&1 ||
    die "the environment has no pip: install python3-venv, virtualenv or uv, then run again"
  "$python" -m pip install --no-deps -r "$lock" >&2 ||
    die "pip failed. pip 26.3 and later refuse espnet: install uv, or an older pip, then run again"
}

if [ -n "${XLSRT_PYTHON:-}" ]; then
  use_existing "$XLSRT_PYTHON"
  exit
fi

key=$(cksum < "$lock")
finished=$venv/.installed
is_finished() { # not where the Python that it was made from has been removed since
  [ "$(cat "$finished" 2>/dev/null)" = "$key" ] && "$venv/bin/python" -c "$wanted" 2>/dev/null
}
if ! is_finished; then
  mkdir -p -- "$(dirname "$venv")"
  # Two first runs at once: the second waits, then finds the work done. The lock goes when its process does.
  if command -v flock >/dev/null; then
    exec 9> "$venv.lock"
    flock 9
  fi
  if ! is_finished; then
    if [ -e "$venv/.unfinished" ] || ! "$venv/bin/python" -c "$wanted" 2>/dev/null; then make_venv; fi
    rm -f -- "$finished"
    if ! "$venv/bin/python" "$root/utils/check_env.py" --quiet "$lock"; then
      say "installing the packages of requirements.lock (about 5 GB on disk, minutes on first use)"
      touch -- "$venv/.unfinished"
      install_lock
    fi
    echo "$key" > "$finished.new"
    mv -- "$finished.new" "$finished"
    rm -f -- "$venv/.unfinished"
  fi
fi
echo "$venv/bin/python"
