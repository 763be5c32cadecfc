#!/usr/bin/env bash
# Check a Kaldi data directory; exit code 2 and the problems, each with its utterance, if it is not right.
# Usage: utils/validate_data_dir.sh [--no-text] [--no-wav] [--allow-pipes true] <data-dir>
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" validate "$@"
