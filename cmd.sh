# shellcheck shell=bash disable=SC2034,SC2154
# Where jobs run: cmd_backend=local, slurm, sge, pbs or ssh. Change it here, or `cmd_backend=slurm ./run.sh ...`.
# Each command follows Kaldi's convention: $train_cmd [--gpu N] [--mem 4G] [JOB=1:n] LOG COMMAND...
# conf/slurm.conf, conf/queue.conf (sge) and conf/pbs.conf say what options mean there; see docs/clusters.md.
cmd_backend=${cmd_backend:-local}

case $cmd_backend in
  local) backend=$root/utils/run.pl ;;   # this machine
  slurm) backend=$root/utils/slurm.pl ;; # Slurm
  sge) backend=$root/utils/queue.pl ;;   # Grid Engine
  pbs) backend=$root/utils/pbs.pl ;;     # PBS Pro, OpenPBS, Torque
  ssh) backend=$root/utils/ssh.pl ;;     # the machines in .queue/machines
  *)
    echo "cmd.sh: error: cmd_backend=${cmd_backend} is not known; write local, slurm, sge, pbs or ssh" >&2
    exit 2
    ;;
esac
# The program that submits, before any work rather than at the first job.
case $cmd_backend in slurm) conf=slurm ;; sge) conf=queue ;; pbs) conf=pbs ;; *) conf= ;; esac
submit=$(sed -n 's/^command  *\([^ ]*\).*/\1/p' "${workdir:-$root}/conf/$conf.conf" "$root/conf/$conf.conf" 2>/dev/null | head -n 1) || true
if [ -n "$submit" ] && ! command -v "$submit" >/dev/null; then
  echo "cmd.sh: error: cmd_backend=${cmd_backend}: there is no $submit on this machine; run where jobs are submitted" >&2
  exit 2
fi
# Options may follow it, so it is split into words: a folder with blanks in its name is quoted.
if [[ $backend =~ [^A-Za-z0-9_@%+=:,./-] ]]; then backend="'${backend//\'/\'\\\'\'}'"; fi
train_cmd=$backend  # light jobs: formatting, tokens, lengths
cuda_cmd=$backend   # training; more options may follow, e.g. "$backend --mem 32G --time 24:00:00"
decode_cmd=$backend # decoding
