#!/usr/bin/env bash
# Stage 1: the built-in synthetic corpus into data/train, data/dev, data/test and data/test_long; nothing is downloaded.
# Usage: local/data.sh [--size smoke] [--nj 2] [--seed 0] [--train_hours 2] ...; --help lists all.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data mini "$@"
