#!/usr/bin/env bash
# Print the error rates of all experiments below a folder and write their RESULTS.md.
# Usage: utils/show_results.sh [<expdir>]     (default: exp)
set -euo pipefail

if [ "${1:-}" = --help ] || [ $# -gt 1 ]; then
    sed -n '2,3s/^# //p' "$0"
    [ $# -le 1 ]
    exit
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/path.sh"
exec "$python" -m xlsrt.bin.score --expdir "${1:-exp}"
