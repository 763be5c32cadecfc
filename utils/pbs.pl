#!/usr/bin/env perl
# Run a command, once or as numbered jobs, through PBS Pro, OpenPBS or Torque, and wait for it; Kaldi's calling
# convention:
#
#   pbs.pl [--gpu N] [--mem 4gb] [--num-threads N] [--time T] [--max-jobs-run N] [--name NAME]
#          [--config conf/pbs.conf] [JOB=1:4] LOG COMMAND...
#
# conf/pbs.conf says how options become qsub's. Numbered jobs are one array. Exit code 1 when a job fails, with the
# tail of its log; deletes what it submitted when it is ended. Needs a file system that all nodes share.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Queue;

sub list {
    my ($id) = @_;
    my ($code, $text) = Queue::ask("qstat", "-t", $id);
    return $text =~ /unknown job|has finished/i ? {} : undef if $code;
    my %states;
    for my $line (split /\n/, $text) {
        my @words = split(" ", $line);
        next unless @words >= 6 && $words[0] =~ /^\d+(\[(\d*)\])?/ && $words[-2] =~ /^[A-Z]$/;
        # The line of a whole array says nothing about its tasks, which are listed beside it.
        next if defined $1 && $2 eq "";
        $states{ defined $2 ? $2 : "all" } = $words[-2];
    }
    return \%states;
}

Queue::run_queued(
    conf => "pbs.conf",
    native => 1,
    variable => '${PBS_ARRAY_INDEX:-$PBS_ARRAYID}',
    limit => "%",
    id => qr/^(\d+(?:\[\])?\S*)/m,
    output => sub { ("-j", "oe", "-o", $_[0]) },
    list => \&list,
    over => qr/^[FXC]$/,
    ended => qr/./,
    cancel => ["qdel"],
    requeue => 'qrerun "$PBS_JOBID"',
);
