#!/usr/bin/env bash
# Stage 1: CMU AN4 into data/train, data/dev and, where the source has the official test list, data/test.
# Usage: local/data.sh [--source <folder with etc/ and wav/, or with wav.scp, text and utt2spk>] ...
# The source is downloads/an4 unless an option or the variable AN4 says otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data an4 --source "${AN4:-downloads/an4}" "$@"
