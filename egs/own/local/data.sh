#!/usr/bin/env bash
# Stage 1: your recordings into data/train, data/dev and data/test.
# Usage: local/data.sh [--source <list, directory or cuts>] [--dev ...] [--test ...] ...; --help lists all.
# The source is egs/own/downloads/own.csv unless an option or the variable OWN says otherwise; the variable KIND is manifest,
# folder or lhotse and is told from the source where it is not set.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
own=${OWN:-$here/../downloads/own.csv} words=("$@") source=
for ((i = 0; i < ${#words[@]}; i++)); do # the source that is told by option goes first
  case ${words[i]} in --source) source=${words[i + 1]:-} ;; --source=*) source=${words[i]#*=} ;; esac
done
source=${source:-$own} kind=manifest
if [ -d "$source" ]; then kind=folder; fi
case $source in *cuts*.jsonl | *cuts*.jsonl.gz) kind=lhotse ;; esac
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data "${KIND:-$kind}" --source "$own" "$@"
