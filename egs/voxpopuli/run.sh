#!/usr/bin/env bash
# VoxPopuli in the languages of the variable LANGUAGES, such as "es" or "es fr it". Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LANGUAGES=${LANGUAGES:-es}
read -ra codes <<< "$LANGUAGES"
tests=(test) nbpe=500 config=conf/train_xlsr53.yaml
if [ "${#codes[@]}" -gt 1 ]; then
  tests=("${codes[@]/#/test_}") nbpe=1000 config="$config conf/balanced.yaml"
fi
exec "$here/../../run.sh" --corpus voxpopuli --workdir "$here/work/${LANGUAGES// /_}" \
  --test_sets "${tests[*]}" --train_config "$config" --nbpe "$nbpe" "$@"
