#!/usr/bin/env bash
# Print the spk2utt table of a utt2spk file; of a directory, write it there.
# Usage: utils/utt2spk_to_spk2utt.sh <utt2spk file or data-dir>
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" spk2utt "$@"
