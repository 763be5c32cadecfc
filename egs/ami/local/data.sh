#!/usr/bin/env bash
# Stage 1: AMI into data/train, data/dev and data/eval.
# Usage: local/data.sh [--source <folder with recordings and annotations>] [--mic ihm|sdm|mdm] ...; --help lists all.
# The source is egs/ami/downloads/ami unless an option or the variable AMI says otherwise.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC1091
. "$here/../../../path.sh"
exec "$XLSRT_PYTHON_BIN" -m xlsrt.bin.prepare_data ami --source "${AMI:-$here/../downloads/ami}" --mic "${MIC:-ihm}" "$@"
