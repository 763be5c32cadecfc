#!/usr/bin/env bash
# Take utterances out of a Kaldi data directory; without an option they are spread evenly over the set.
# Usage: utils/subset_data_dir.sh [--first|--last|--shortest|--per-spk|--speakers] <source-dir> <count> <target-dir>, or --utt-list <file> | --spk-list <file> | --hours <number> <source-dir> <target-dir>
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" subset "$@"
