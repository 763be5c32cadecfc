#!/usr/bin/env bash
# The built-in corpus of synthetic speech, with data/, dump/ and exp/ in this folder. Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../run.sh" --corpus mini --workdir "$here" "$@"
