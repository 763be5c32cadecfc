#!/usr/bin/env bash
# Common Voice in the languages of the variable LANGUAGES, such as "et" or "es fr it". Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LANGUAGES=${LANGUAGES:-et}
read -ra codes <<< "$LANGUAGES"
tests=(test) nbpe=500
if [ "${#codes[@]}" -gt 1 ]; then tests=("${codes[@]/#/test_}") nbpe=1000; fi
exec "$here/../../run.sh" --corpus common_voice --workdir "$here/work/${LANGUAGES// /_}" \
  --test_sets "${tests[*]}" --train_config conf/train_xlsr53.yaml --nbpe "$nbpe" "$@"
