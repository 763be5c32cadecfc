#!/usr/bin/env bash
# Stage 1: Multilingual LibriSpeech into data/train, data/dev, data/test; data/test_<language> of several languages.
# Usage: local/data.sh [--source <mls_spanish> <mls_italian_opus> ...] [--limited 9hr|1hr] ...; --help lists all.
# The source is egs/mls/downloads/mls_spanish unless an option or the variable MLS says otherwise. With the variable
# LANGUAGES, such as "es it", it is the folders of these languages in egs/mls/downloads, or in MLS.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
# shellcheck disable=SC2206 # one word each
languages=(${LANGUAGES:-}) source=$here/../downloads/mls_spanish
if [ "${#languages[@]}" -gt 0 ]; then source=$here/../downloads languages=(--languages "${languages[@]}"); fi
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data mls --source "${MLS:-$source}" "${languages[@]}" "$@"
