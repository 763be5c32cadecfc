#!/usr/bin/env bash
# Stage 1: Multilingual LibriSpeech into data/train, data/dev, data/test; data/test_<language> of several languages.
# Usage: local/data.sh [--source <mls_spanish> <mls_italian_opus> ...] [--limited 9hr|1hr] ...; --help lists all.
# The source is egs/mls/downloads/mls_spanish unless an option or the variable MLS says otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data mls --source "${MLS:-$here/../downloads/mls_spanish}" "$@"
