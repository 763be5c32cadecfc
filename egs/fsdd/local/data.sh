#!/usr/bin/env bash
# Stage 1: the Free Spoken Digit Dataset into data/train, data/dev, data/test and data/test_connected.
# Usage: local/data.sh [--source <folder with recordings/, or with wav.scp, text and utt2spk>] ...
# The source is downloads/free-spoken-digit-dataset unless an option or the variable FSDD says otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data fsdd --source "${FSDD:-downloads/free-spoken-digit-dataset}" "$@"
