#!/usr/bin/env bash
# A copy of a Kaldi data directory at another speed; the audio is made at once, in <target-dir>/audio, without sox.
# Usage: utils/perturb_data_dir_speed.sh [--nj 4] [--allow-pipes true] <factor> <source-dir> <target-dir>
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/data_dir.sh" perturb_speed "$@"
