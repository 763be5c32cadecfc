#!/usr/bin/env bash
# LibriSpeech, 960 hours of read English. Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../run.sh" --corpus librispeech --workdir "$here" --test_sets "dev_clean dev_other test_clean test_other" \
  --train_config conf/train_xlsr53.yaml --nbpe 500 "$@"
