#!/usr/bin/env perl
# Run a command, once or as numbered jobs, through Slurm, and wait for it; Kaldi's calling convention:
#
#   slurm.pl [--gpu N] [--mem 4G] [--num-threads N] [--num-nodes N] [--time T] [--max-jobs-run N] [--name NAME]
#            [--config conf/slurm.conf] [JOB=1:4] LOG COMMAND...
#
# conf/slurm.conf says how options become sbatch's. Numbered jobs are one array. Exit code 1 when a job fails, with
# the tail of its log; cancels what it submitted when it is ended. Needs a file system that all nodes share.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Queue;

sub list {
    my ($id) = @_;
    my ($code, $text) = Queue::ask("squeue", "--noheader", "--array", "--states=all", "--jobs", $id, "--format", "%i %T");
    return $text =~ /Invalid job id/i ? {} : undef if $code;
    my %states;
    $states{ defined $1 ? $1 : "all" } = $2 while $text =~ /^\s*\d+(?:_(\d+))?\s+(\w+)/mg;
    return \%states;
}

Queue::run_queued(
    conf => "slurm.conf",
    variable => '$SLURM_ARRAY_TASK_ID',
    limit => "%",
    id => qr/Submitted batch job (\d+)/,
    output => sub { ("--output", $_[0], "--open-mode", "append") },
    list => \&list,
    over => qr/^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY|BOOT_FAIL|DEADLINE|PREEMPTED|REVOKED)$/,
    ended => qr/./,
    cancel => ["scancel"],
    # One dead rank of srun ends the others, which would wait for it.
    prologue => "export SLURM_KILL_BAD_EXIT=1",
    requeue => 'scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}"',
);
