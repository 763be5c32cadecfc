#!/usr/bin/env perl
# Run a command, once or as numbered jobs, through (Sun, Univa, Son of) Grid Engine, and wait for it; Kaldi's calling
# convention:
#
#   queue.pl [--gpu N] [--mem 4G] [--num-threads N] [--time T] [--max-jobs-run N] [--name NAME]
#            [--config conf/queue.conf] [JOB=1:4] LOG COMMAND...
#
# conf/queue.conf says how options become qsub's. Numbered jobs are one array. Exit code 1 when a job fails, with the
# tail of its log; deletes what it submitted when it is ended. Needs a file system that all nodes share.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Queue;

# Grid Engine lists what waits, runs or is in error; what has ended is gone.
sub list {
    my ($id) = @_;
    my ($code, $text) = Queue::ask("qstat", "-g", "d");
    return undef if $code;
    my %states;
    # Number, priority, name, user, state, day, time, queue@node of what runs, slots, task of what is an array.
    my $row = qr/^\s*(\d+)\s+\S+\s+\S+\s+\S+\s+(\S+)\s+\S+\s+[\d:]+\s+(?:\S+@\S+\s+)?\d+(?:\s+(\d+))?\s*$/;
    for my $line (split /\n/, $text) {
        $states{ defined $3 ? $3 : "all" } = $2 if $line =~ $row && $1 == $id;
    }
    return \%states;
}

Queue::run_queued(
    conf => "queue.conf",
    native => 1,
    variable => '$SGE_TASK_ID',
    id => qr/Your job(?:-array)? (\d+)/,
    output => sub { ("-o", $_[0]) },
    list => \&list,
    over => qr/E/,
    ended => qr/^$/,
    cancel => ["qdel"],
    # Grid Engine's exit code for "run me again".
    requeue => "exit 99",
);
