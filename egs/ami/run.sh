#!/usr/bin/env bash
# AMI meetings, headsets unless the variable MIC says sdm or mdm. Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export MIC=${MIC:-ihm}
exec "$here/../../run.sh" --corpus ami --workdir "$here/work/$MIC" --valid_set dev --test_sets "dev eval" --train_config conf/train_xlsr53.yaml --nbpe 500 --speed_perturb_factors "0.9 1.0 1.1" "$@"
