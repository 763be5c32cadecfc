#!/usr/bin/env bash
# Free Spoken Digit Dataset: single digits, and strings of 3 to 10 digits. Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../run.sh" --corpus fsdd --workdir "$here" --test_sets "test test_connected" --token_type char "$@"
