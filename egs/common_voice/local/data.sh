#!/usr/bin/env bash
# Stage 1: Common Voice into data/train, data/dev, data/test and, of several languages, data/test_<language>.
# Usage: local/data.sh [--source <release>] [--languages et ca ...] [--train_from validated] ...; --help lists all.
# The source is egs/common_voice/downloads/common_voice unless an option or the variable COMMON_VOICE says otherwise;
# its languages are those of the variable LANGUAGES.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
# shellcheck disable=SC2206 # one word each
languages=(${LANGUAGES:-et})
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data common_voice --source "${COMMON_VOICE:-$here/../downloads/common_voice}" --languages "${languages[@]}" "$@"
