#!/usr/bin/env bash
# Stage 1: VoxPopuli into data/train, data/dev, data/test; data/test_<language> of several languages.
# Usage: local/data.sh [--source <transcribed_data>] [--languages es ...] ...; --help lists all.
# The source is egs/voxpopuli/downloads/voxpopuli/transcribed_data unless an option or the variable VOXPOPULI says otherwise;
# its languages are those of the variable LANGUAGES.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
# shellcheck disable=SC2206 # one word each
languages=(${LANGUAGES:-es})
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data voxpopuli --source "${VOXPOPULI:-$here/../downloads/voxpopuli/transcribed_data}" --languages "${languages[@]}" "$@"
