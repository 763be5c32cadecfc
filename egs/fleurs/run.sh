#!/usr/bin/env bash
# FLEURS in the languages of the variable LANGUAGES, such as "et_ee" or "et_ee ca_es". Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LANGUAGES=${LANGUAGES:-et_ee}
read -ra codes <<< "$LANGUAGES"
tests=(test) nbpe=300 config=conf/train_xlsr53.yaml
if [ "${#codes[@]}" -gt 1 ]; then
  tests=("${codes[@]/#/test_}") nbpe=1000 config="$config conf/balanced.yaml"
fi
exec "$here/../../run.sh" --corpus fleurs --workdir "$here/work/${LANGUAGES// /_}" \
  --test_sets "${tests[*]}" --train_config "$config" --nbpe "$nbpe" --speed_perturb_factors "0.9 1.0 1.1" "$@"
