#!/usr/bin/env bash
# CMU AN4: spelled words, digits, dates and commands. Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../run.sh" --corpus an4 --workdir "$here" --test_sets "dev" --token_type char --speed_perturb_factors "0.9 1.0 1.1" "$@"
