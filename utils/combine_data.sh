#!/usr/bin/env bash
# Join Kaldi data directories into one; only the tables that all of them have are kept.
# Usage: utils/combine_data.sh [--extra-files "..."] <target-dir> <source-dir> ...
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" combine "$@"
