#!/usr/bin/env bash
# Multilingual LibriSpeech: Spanish, the folder of the variable MLS, or of several such folders those of the variable
# LANGUAGES, such as "es it". Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
read -ra codes <<< "${LANGUAGES:-}"
tests=(test) nbpe=500 config=conf/train_xlsr53.yaml work=$here
if [ "${#codes[@]}" -gt 0 ]; then work=$here/work/${LANGUAGES// /_}; fi
if [ "${#codes[@]}" -gt 1 ]; then
  tests=("${codes[@]/#/test_}") nbpe=1000 config="$config conf/balanced.yaml"
fi
exec "$here/../../run.sh" --corpus mls --workdir "$work" \
  --test_sets "${tests[*]}" --train_config "$config" --nbpe "$nbpe" "$@"
