#!/usr/bin/env bash
# Makes the built-in synthetic corpus: local/data.sh [options of `prepare_data mini`], e.g. --size smoke --nj 2
set -euo pipefail
. ./path.sh
"${XLSRT_PYTHON:-python3}" -m xlsrt.bin.prepare_data mini --output_dir data "$@"
