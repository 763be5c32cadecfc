#!/usr/bin/env bash
# Your own recordings: a list, a directory or lhotse cuts (see README.md). Takes the options of ../../run.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec "$here/../../run.sh" --corpus own --workdir "$here" --test_sets "test" --nbpe 200 "$@"
