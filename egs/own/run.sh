#!/usr/bin/env bash
# Your own recordings: a list, a directory or lhotse cuts (see README.md). Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# A list named from where you stand: run.sh works in this folder.
if [ -n "${OWN:-}" ]; then OWN=$(realpath -- "$OWN"); export OWN; fi
exec "$here/../../run.sh" --corpus own --workdir "$here" --test_sets "test" --nbpe 200 "$@"
