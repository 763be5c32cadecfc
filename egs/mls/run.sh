#!/usr/bin/env bash
# Multilingual LibriSpeech, Spanish unless the variable MLS says otherwise. Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../run.sh" --corpus mls --workdir "$here" --test_sets "test" --train_config conf/train_xlsr53.yaml --nbpe 500 "$@"
