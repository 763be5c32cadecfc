#!/usr/bin/env bash
# Prints how many CPU ranks a training takes on this machine: one for each core, at most four, and one for every 3 GB of
# memory, of the machine's or of the container's that this runs in. A rank of the small recipes takes 2.5 to 4 GB.
#
#   utils/auto_ranks.sh [ROOT]    ROOT: folder with the system's proc/ and sys/ (tests)
set -euo pipefail
root=${1:-}

cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) # which nproc takes those for cores
ranks=$((cores < 4 ? cores : 4))

bytes=$(awk '$1 == "MemTotal:" {printf "%.0f", $2 * 1024}' "$root/proc/meminfo" 2>/dev/null || true)
own=$(awk -F: '$1 == 0 {print $3}' "$root/proc/self/cgroup" 2>/dev/null || true)
for limit in "$root/sys/fs/cgroup/memory.max" "$root/sys/fs/cgroup$own/memory.max" "$root/sys/fs/cgroup/memory/memory.limit_in_bytes"; do
  if [ -r "$limit" ] && most=$(<"$limit") && [[ $most =~ ^[0-9]{1,18}$ ]] && [[ -z $bytes || $most -lt $bytes ]]; then bytes=$most; fi
done

if [ -n "$bytes" ]; then
  fit=$((bytes / 3000000000))
  if ((fit < 1)); then fit=1; fi
  if ((fit < ranks)); then
    echo "$((bytes / 1000000000)) GB of memory: trainings take $fit process(es) instead of $ranks (--num_nodes N for another number)" >&2
    ranks=$fit
  fi
fi
echo "$ranks"
