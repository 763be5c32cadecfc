# shellcheck shell=bash disable=SC2034,SC2154
# Where jobs run. One variable chooses; each command follows Kaldi's convention:
#   $train_cmd [--gpu N] [--mem G] [JOB=1:n] LOG COMMAND...
# local: this machine, through utils/run.pl.
cmd_backend=${cmd_backend:-local}

case $cmd_backend in
  local)
    train_cmd=$root/utils/run.pl  # light jobs
    cuda_cmd=$root/utils/run.pl   # training
    decode_cmd=$root/utils/run.pl # decoding
    ;;
  *)
    echo "cmd.sh: error: cmd_backend=${cmd_backend} is not known; write local" >&2
    exit 2
    ;;
esac
