#!/usr/bin/env bash
# Stage 1: FLEURS into data/train, data/dev, data/test; data/test_<language> of several languages.
# Usage: local/data.sh [--source <folder of languages>] [--languages et_ee ...] ...; --help lists all.
# The source is egs/fleurs/downloads/fleurs unless an option or the variable FLEURS says otherwise;
# its languages are those of the variable LANGUAGES.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
# shellcheck disable=SC2206 # one word each
languages=(${LANGUAGES:-et_ee})
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data fleurs --source "${FLEURS:-$here/../downloads/fleurs}" --languages "${languages[@]}" "$@"
