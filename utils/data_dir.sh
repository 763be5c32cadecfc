#!/usr/bin/env bash
# Run one of the tools for Kaldi data directories; the scripts beside this one call it. Usage: utils/data_dir.sh --help
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/path.sh"
exec "$python" -m xlsrt.bin.data_dir "$@"
