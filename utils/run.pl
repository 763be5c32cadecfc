#!/usr/bin/env perl
# Run a command on this machine, once or as numbered jobs, in Kaldi's calling convention:
#
#   run.pl [--gpu N] [--mem 4G] [--num-threads N] [--max-jobs-run N] [--name NAME] [JOB=1:4] LOG COMMAND...
#
# In LOG and COMMAND the word JOB becomes the job's number. Exit code 1 when a job fails, with the tail of its log.
# Without --max-jobs-run (or -tc) as many jobs run at a time as there are CPUs, with --gpu as there are GPUs.
# --mem, --num-threads, --time, --config, --name and Grid Engine's -V, -l, -q, -p, -pe are for queues, and have no
# effect here. With --together true all run at once, and the first that fails ends the others. Ends its jobs when it
# is ended.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Jobs;
use File::Basename qw(dirname);
use File::Path qw(make_path);

my $call = Jobs::parse_call(@ARGV);
Jobs::refuse_unknown_options($call);
my @command = @{ $call->{command} };
($call->{options}{num_nodes} || 1) == 1 or Jobs::fail("--num-nodes: there is one machine here; see cmd.sh");

sub start {
    my ($job) = @_;
    my $file = Jobs::log_of($call, $job);
    make_path(dirname($file));
    my @words = map { Jobs::with_number($call, $_, $job) } @command;
    # What an earlier run wrote stays: training goes on in the same log.
    open(STDOUT, ">>", $file) or Jobs::fail("cannot write $file: $!");
    open(STDERR, ">&", \*STDOUT);
    open(STDIN, "<", "/dev/null");
    $| = 1;
    print "# ", Jobs::now(), " @words\n";
    # A single word is a shell command line, as in Kaldi.
    exec { @words == 1 ? "bash" : $words[0] } (@words == 1 ? ("bash", "-c", @words) : @words)
        or do { print "run.pl: cannot run $words[0]: $!\n"; POSIX::_exit(127); };
}

sub end {
    my ($job, $status) = @_;
    open(my $log, ">>", Jobs::log_of($call, $job)) or return;
    my $how = $status & 127 ? "signal " . ($status & 127) : "code " . ($status >> 8);
    print $log "# ", Jobs::now(), " ended with $how\n";
}

# Jobs at a time, as in Kaldi; 0: all.
sub most {
    my ($options, $jobs) = ($call->{options}, $call->{last} - $call->{first} + 1);
    return $options->{max_jobs_run} if $options->{max_jobs_run};
    # They wait for each other.
    return 0 if $jobs == 1 || Jobs::truth($options->{together});
    my $gpus = $options->{gpu} ? grep { /^GPU / } `nvidia-smi --list-gpus 2>/dev/null` : 0;
    return $gpus if $gpus;
    # These two are about a program's threads, and nproc listens to them.
    my ($cpus) = `env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null` =~ /^(\d+)/;
    # A few jobs more than CPUs are done sooner together than in two rounds.
    return !$cpus || $jobs < 1.4 * $cpus ? 0 : $cpus;
}

Jobs::run_here($call, most(), start => \&start, end => \&end);
