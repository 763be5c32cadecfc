#!/usr/bin/env bash
# Stage 1: LibriSpeech into data/train, data/dev and a set for each part of the evaluation.
# Usage: local/data.sh [--source <LibriSpeech>] [--train_parts train-clean-100 ...] [--case lower] ...; --help lists all.
# The source is egs/librispeech/downloads/LibriSpeech unless an option or the variable LIBRISPEECH says otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data librispeech --source "${LIBRISPEECH:-$here/../downloads/LibriSpeech}" "$@"
