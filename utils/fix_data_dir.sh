#!/usr/bin/env bash
# Sort a Kaldi data directory and drop what cannot be used; the old tables go to <data-dir>/.backup.
# Usage: utils/fix_data_dir.sh [--allow-pipes true] [--utt-extra-files "..."] [--spk-extra-files "..."] <data-dir>
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" fix "$@"
