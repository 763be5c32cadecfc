# shellcheck shell=bash
# Sourced by run.sh and by local/data.sh: the environment of every command.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export XLSRT_PYTHON_BIN
XLSRT_PYTHON_BIN=${XLSRT_PYTHON_BIN:-$("$root/utils/setup_env.sh")}
python=$XLSRT_PYTHON_BIN

export PATH="${python%/*}:$root/utils:$PATH"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONIOENCODING=UTF-8 PYTHONUNBUFFERED=1
# Sorted files are compared byte by byte, whatever the user's language.
export LC_ALL=C.UTF-8
# A recipe starts dozens of processes; where modules may not be kept compiled, each takes 4 s of CPU more to load them.
# In an environment of your own that is your choice.
if [ -z "${XLSRT_PYTHON:-}" ]; then export PYTHONDONTWRITEBYTECODE=; fi
