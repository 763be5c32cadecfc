#!/usr/bin/env bash
# Run one of the tools for Kaldi data directories; the scripts beside this one call it. Usage: utils/data_dir.sh --help
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${XLSRT_PYTHON_BIN:-${root}/.venv/bin/python}
[ -x "${python}" ] || python=python3
export PYTHONPATH="${root}${PYTHONPATH:+:${PYTHONPATH}}"
exec "${python}" -m xlsrt.bin.data_dir "$@"
