#!/usr/bin/env bash
# Common Voice in the languages of the variable LANGUAGES, such as "et" or "es fr it". Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export LANGUAGES=${LANGUAGES:-et}
read -ra codes <<< "$LANGUAGES"
tests=(test)
if [ "${#codes[@]}" -gt 1 ]; then tests=("${codes[@]/#/test_}"); fi
few_hours=(--nbpe 150 --speed_perturb_factors "0.9 1.0 1.1" --stages_config "$here/../../conf/stages.yaml")
many_hours=(--nbpe 500) # and conf/stages.yaml here
case "${codes[*]}" in # the README has the table
  *" "*) preset=(--nbpe 1000 --train_config "conf/train_xlsr53.yaml conf/balanced.yaml") ;;
  ca | be | es | fr | it | de | en) preset=("${many_hours[@]}") ;;
  *) preset=("${few_hours[@]}") ;;
esac
exec "$here/../../run.sh" --corpus common_voice --workdir "$here/work/${LANGUAGES// /_}" \
  --test_sets "${tests[*]}" --train_config conf/train_xlsr53.yaml "${preset[@]}" "$@"
