#!/usr/bin/env bash
# Print the utt2spk table of a spk2utt file.
# Usage: utils/spk2utt_to_utt2spk.sh <spk2utt file>
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" utt2spk "$@"
