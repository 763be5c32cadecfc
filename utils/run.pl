#!/usr/bin/env perl
# Run a command on this machine, once or as numbered jobs, in Kaldi's calling convention:
#
#   run.pl [--gpu N] [--mem 4G] [--num-threads N] [--max-jobs-run N] [--name NAME] [JOB=1:4] LOG COMMAND...
#
# In LOG and COMMAND the word JOB becomes the job's number. Exit code 1 when a job fails, with the tail of its log.
# --gpu, --mem, --num-threads and --name are for queues, and have no effect here. Ends its jobs when it is ended.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use POSIX qw(strftime);

my ($name, $first, $last, $most) = (undef, 1, 1, 0);
while (@ARGV) {
    if ($ARGV[0] =~ /^--(gpu|mem|num-threads|max-jobs-run|name|time|config)$/) {
        my $option = $1;
        @ARGV >= 2 or fail("$ARGV[0] needs a value");
        $most = $ARGV[1] if $option eq "max-jobs-run";
        splice(@ARGV, 0, 2);
    } elsif ($ARGV[0] =~ /^--/) {
        fail("unknown option $ARGV[0]");
    } elsif ($ARGV[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?$/) {
        ($name, $first, $last) = ($1, $2, defined $3 ? $3 : $2);
        $last >= $first or fail("bad job range $ARGV[0]");
        shift @ARGV;
    } else {
        last;
    }
}
@ARGV >= 2 or fail("usage: run.pl [options] [JOB=1:4] LOG COMMAND...");
my ($log, @command) = @ARGV;
!defined $name || $last == $first || $log =~ /\Q$name\E/ or fail("jobs would share one log: put $name into $log");

my %running;
my @failed;
my $signal;
for my $caught (qw(INT TERM HUP USR1)) {
    $SIG{$caught} = sub { $signal = $caught; kill($caught, $_) for keys %running; };
}

for my $job ($first .. $last) {
    collect() while $most && keys %running >= $most;
    last if $signal;
    start($job);
}
collect() while %running;
exit(128 + ({ INT => 2, TERM => 15, HUP => 1, USR1 => 10 })->{$signal}) if $signal && @failed;
exit 0 unless @failed;
for my $job (sort { $a <=> $b } @failed) {
    my $file = with_number($log, $job);
    print STDERR "run.pl: job ", (defined $name ? "$job " : ""), "failed, the end of $file:\n", `tail -n 20 '$file'`;
}
print STDERR "run.pl: ", scalar(@failed), " of ", $last - $first + 1, " jobs failed\n" if defined $name;
exit 1;

sub start {
    my ($job) = @_;
    my $file = with_number($log, $job);
    make_path(dirname($file));
    my $pid = fork();
    defined $pid or fail("cannot fork: $!");
    if ($pid == 0) {
        my @words = map { with_number($_, $job) } @command;
        $SIG{$_} = "DEFAULT" for qw(INT TERM HUP USR1);
        # What an earlier run wrote stays: training goes on in the same log.
        open(STDOUT, ">>", $file) or fail("cannot write $file: $!");
        open(STDERR, ">&", \*STDOUT);
        open(STDIN, "<", "/dev/null");
        $| = 1;
        print "# ", strftime("%Y-%m-%d %H:%M:%S", localtime), " @words\n";
        # A single word is a shell command line, as in Kaldi.
        exec { @words == 1 ? "bash" : $words[0] } (@words == 1 ? ("bash", "-c", @words) : @words)
            or do { print "run.pl: cannot run $words[0]: $!\n"; POSIX::_exit(127); };
    }
    $running{$pid} = $job;
}

sub collect {
    my $pid = waitpid(-1, 0);
    return unless $pid > 0 && exists $running{$pid};
    my $job = delete $running{$pid};
    my $status = $?;
    my $file = with_number($log, $job);
    if (open(my $end, ">>", $file)) {
        print $end "# ", strftime("%Y-%m-%d %H:%M:%S", localtime), " ended with ",
            $status & 127 ? "signal " . ($status & 127) : "code " . ($status >> 8), "\n";
    }
    push @failed, $job if $status;
}

sub with_number {
    my ($text, $job) = @_;
    $text =~ s/\Q$name\E/$job/g if defined $name;
    return $text;
}

sub fail { print STDERR "run.pl: error: $_[0]\n"; exit 2; }
